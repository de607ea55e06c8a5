"""Readers of a service's folder: how to start it, and the spans that each request type should give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lab.guest.wire import SpanNode, reference_faults
from lab.model.errors import ConfigError
from lab.model.form import Expected
from lab.model.load_expected import EXPECTED_FILE, load_own_expected
from lab.model.load_processes import load_processes
from lab.model.load_scenario import statuses
from lab.model.names import label_fault
from lab.model.scenario import header_fault, path_fault
from lab.model.service import PACKAGE, VARIABLE, Service
from lab.model.yamlspec import Section, collect, problems_error, read

SERVICE_FILE: Final = "service.yaml"
REFERENCE_FILE: Final = "reference-spans.yaml"
KINDS: Final = ("server", "client", "internal", "producer", "consumer")
PORT: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")  # stands between braces: {port:NAME}
FAMILIES: Final = ("http", "grpc", "sql", "internal")


def load_service(root: Path) -> Service:
    """Read a service's folder. Raises ConfigError with every problem of its files."""
    if not root.is_dir():
        where = root.parent if root.exists() else "the folder that holds service.yaml"
        raise ConfigError(f"{root} is no folder", fix=f"name the service's folder: --service {where}")
    problems: list[str] = []
    reference = collect(lambda: load_reference(root / REFERENCE_FILE), problems) or {}
    own = root / EXPECTED_FILE
    expected = collect(lambda: load_own_expected(own, reference), problems) if reference and own.is_file() else {}
    service = collect(lambda: _service(root, reference, expected or {}), problems)
    if problems or service is None:
        raise problems_error(problems)
    return service


def _service(root: Path, reference: dict[str, tuple[SpanNode, ...]], expected: dict[str, Expected]) -> Service:
    doc = read(root / SERVICE_FILE).schema(1)
    doc.only("schema", "name", "main", "ports", "target", "ready", "headers", "build_id_var", "topologies", "delays")
    doc.require("name", "ports", "target", "ready", "topologies")
    ports = doc.strs("ports")
    ready = doc.section("ready").only("port", "path", "status").require("port")
    headers = doc.section("headers").only("build", "form", "delay")
    for section, key in ((doc, "target"), (ready, "port")):
        if section.has(key) and section.text(key) not in ports:
            section.complain(key, f"{section.text(key)!r} is not one of ports ({', '.join(ports)})")
    for key, pattern, what in (("main", PACKAGE, "a Go package"), ("build_id_var", VARIABLE, "PACKAGE.VARIABLE")):
        if doc.text(key) and not pattern.fullmatch(doc.text(key)):
            doc.complain(key, f"{doc.text(key)!r} is not {what}")
    if "..." in doc.text("main", "."):
        doc.complain("main", "one package is expected, not a pattern")
    if doc.has("name"):
        doc.check("name", label_fault(doc.text("name")))
    for name in ports:
        doc.check(
            "ports", "" if PORT.fullmatch(name) else f"{name!r} is not a port's name: use letters, digits, _ and -"
        )
    doc.check("ports", "a name is there twice" if len(set(ports)) < len(ports) else "")
    _check_ready(ready, headers)
    told = {name for name in (doc.text("target"), ready.text("port")) if name in ports}
    topologies = {
        name: load_processes(doc.section("topologies"), name, ports, told) for name in doc.section("topologies").names
    }
    delays = doc.section("delays").only("cpu", "wait")
    service = Service(
        root=root,
        name=doc.text("name"),
        main=doc.text("main", "."),
        ports=ports,
        target=doc.text("target"),
        ready_port=ready.text("port"),
        ready_path=ready.text("path", ""),
        ready_status=statuses(ready, ()),
        build_header=headers.text("build", ""),
        form_header=headers.text("form", ""),
        delay_header=headers.text("delay", ""),
        build_id_var=doc.text("build_id_var", ""),
        topologies=topologies,
        delays={key: delays.strs(key) for key in delays.names},
        reference=reference,
        expected=expected,
    )
    doc.document.finish()
    return service


def _check_ready(ready: Section, headers: Section) -> None:
    """Without a path a connection is enough: then nothing answers with a status or a header."""
    if ready.has("path"):
        ready.check("path", path_fault(ready.text("path")))
    else:
        for section, key in ((ready, "status"), (headers, "build"), (headers, "form")):
            section.check(key, "needs ready.path: without it nothing is asked over HTTP" if section.has(key) else "")
    for name in headers.names:
        headers.check(name, header_fault(headers.text(name), ""))


def load_reference(path: Path) -> dict[str, tuple[SpanNode, ...]]:
    """Read reference-spans.yaml: request type -> its tree, parents before children."""
    doc = read(path).schema(1).only("schema", "requests")
    out: dict[str, tuple[SpanNode, ...]] = {}
    requests = doc.section("requests")
    for name in requests.names:
        items = requests.sections(name)
        out[name] = tuple(map(_span_node, items))
        for index, key, why in reference_faults(name, out[name]):
            items[index].complain(key, why)
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
        item.check("count", f"min {low} is above max {high}" if low > high else "")
    return SpanNode(
        id=item.text("id"),
        kind=item.text("kind", "internal", one_of=KINDS),
        family=item.text("family", "http", one_of=FAMILIES),
        match=item.text("match", "*"),
        parent=item.text("parent", ""),
        count_min=low,
        count_max=high,
    )
