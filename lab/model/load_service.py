"""Readers of a service's folder: how to start it, and the spans that each request type should give."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.guest.wire import ProcessSpec, SpanNode
from lab.model.service import PACKAGE, VARIABLE, Service
from lab.model.yamlspec import Section, read

SERVICE_FILE: Final = "service.yaml"
REFERENCE_FILE: Final = "reference-spans.yaml"
KINDS: Final = ("server", "client", "internal", "producer", "consumer")
FAMILIES: Final = ("http", "grpc", "sql", "internal")


def load_service(root: Path) -> Service:
    """Read a service's folder. Raises ConfigError with every problem of both files."""
    doc = read(root / SERVICE_FILE).schema(1)
    doc.only("schema", "name", "main", "ports", "target", "ready", "headers", "build_id_var", "topologies", "delays")
    doc.require("name", "ports", "target", "ready", "topologies")
    ports = doc.strs("ports")
    ready = doc.section("ready").only("port", "path").require("port", "path")
    headers = doc.section("headers").only("build", "form", "delay")
    for section, key in ((doc, "target"), (ready, "port")):
        if section.has(key) and section.text(key) not in ports:
            section.complain(key, f"{section.text(key)!r} is not one of ports ({', '.join(ports)})")
    for key, pattern, what in (("main", PACKAGE, "a Go package"), ("build_id_var", VARIABLE, "PACKAGE.VARIABLE")):
        if doc.text(key) and not pattern.fullmatch(doc.text(key)):
            doc.complain(key, f"{doc.text(key)!r} is not {what}")
    topologies = {name: _processes(doc.section("topologies"), name) for name in doc.section("topologies").names}
    delays = doc.section("delays").only("cpu", "wait")
    service = Service(
        root=root,
        name=doc.text("name"),
        main=doc.text("main", "."),
        ports=ports,
        target=doc.text("target"),
        ready_port=ready.text("port"),
        ready_path=ready.text("path", "/"),
        build_header=headers.text("build", ""),
        form_header=headers.text("form", ""),
        delay_header=headers.text("delay", ""),
        build_id_var=doc.text("build_id_var", ""),
        topologies=topologies,
        delays={key: delays.strs(key) for key in delays.names},
        reference=load_reference(root / REFERENCE_FILE),
    )
    doc.document.finish()
    return service


def _processes(topologies: Section, name: str) -> tuple[ProcessSpec, ...]:
    return tuple(_process(item.only("name", "argv", "env").require("name")) for item in topologies.sections(name))


def _process(item: Section) -> ProcessSpec:
    return ProcessSpec(name=item.text("name"), argv=item.strs("argv"), env=item.texts("env"))


def load_reference(path: Path) -> dict[str, tuple[SpanNode, ...]]:
    """Read reference-spans.yaml: request type -> its tree, parents before children."""
    doc = read(path).schema(1).only("schema", "requests")
    out: dict[str, tuple[SpanNode, ...]] = {}
    requests = doc.section("requests")
    for name in requests.names:
        nodes: list[SpanNode] = []
        for item in requests.sections(name):
            node = _span_node(item)
            if node.parent and node.parent not in {n.id for n in nodes}:
                item.complain("parent", f"{node.parent!r} is not the id of an earlier span of {name}")
            nodes.append(node)
        out[name] = tuple(nodes)
    doc.document.finish()
    return out


def _span_node(item: Section) -> SpanNode:
    item.only("id", "parent", "kind", "family", "match", "count").require("id", "kind", "family", "match")
    low = high = 1
    if item.has("count"):
        plain = item.plain("count")
        if isinstance(plain, dict):
            count = item.section("count").only("min", "max")
            low, high = count.whole("min", 0, low=0), count.whole("max", 1, low=0)
        else:
            low = high = item.whole("count", 1, low=0)
    return SpanNode(
        id=item.text("id"),
        kind=item.text("kind", "internal", one_of=KINDS),
        family=item.text("family", "http", one_of=FAMILIES),
        match=item.text("match", "*"),
        parent=item.text("parent", ""),
        count_min=low,
        count_max=high,
    )
