"""Readers of a service's folder: how to start it, and the reference spans of each request type."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Final

from lab.guest.wire import SpanNode, reference_faults
from lab.model.errors import ConfigError
from lab.model.form import Expected
from lab.model.loading.load_expected import EXPECTED_FILE, FAMILIES, KINDS, ServiceNames, load_own_expected
from lab.model.loading.load_processes import load_processes
from lab.model.loading.load_scenario import statuses
from lab.model.loading.yamlspec import Section, read
from lab.model.names import label_fault
from lab.model.problems import Places, collect, problems_error
from lab.model.scenario import header_fault, path_fault
from lab.model.service import PACKAGE, SERVICE_FILE, VARIABLE, Service

REFERENCE_FILE: Final = "reference-spans.yaml"
ALL: Final = frozenset({""})  # the whole document is invalid
PORT: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")  # used in braces: {port:NAME}


def load_service(root: Path, problems: list[str] | None = None) -> Service:
    """Read a service's folder. Raises ConfigError with every problem of its files.

    With `problems`, appends to that list and returns the valid part of service.yaml, when it is a document.
    """
    if not root.is_dir():
        where = root.parent if root.exists() else "the folder that holds service.yaml"
        raise ConfigError(f"{root} is not a folder", fix=f"--service {where}")
    found: list[str] = []
    reference, named = collect(lambda: load_reference(root / REFERENCE_FILE, found), found) or ({}, Places(closed=ALL))
    service = collect(lambda: _service(root, reference, found), found)
    own, places = root / EXPECTED_FILE, {REFERENCE_FILE: named}
    expected: dict[str, Expected] = {}
    if os.path.lexists(own):
        topologies = service.topologies if service is not None and service.sound("topologies") else None
        known = ServiceNames(reference=reference, places=named, topologies=topologies)
        expected, places[EXPECTED_FILE] = collect(lambda: load_own_expected(own, known, found), found) or ({}, Places())
    if service is None or (found and problems is None):
        raise problems_error(found)
    if problems is not None:
        problems += found
    return dataclasses.replace(service, expected=expected, places={**service.places, **places})


def _service(root: Path, reference: dict[str, tuple[SpanNode, ...]], problems: list[str]) -> Service:
    doc = read(root / SERVICE_FILE).schema(1)
    doc.only("schema", "name", "main", "ports", "target", "ready", "headers", "build_id_var", "topologies", "delays")
    doc.require("name", "ports", "target", "ready", "topologies")
    ports = doc.strs("ports")
    if doc.has("ports") and not ports and doc.sound("ports"):
        doc.complain("ports", "at least one port is required", closes=True)
    ready = doc.section("ready").only("port", "path", "status").require("port")
    headers = doc.section("headers").only("build", "form", "delay")
    for section, key in ((doc, "target"), (ready, "port")):
        if section.has(key) and section.text(key) not in ports and doc.sound("ports"):
            section.complain(key, f"{section.text(key)!r} is not one of ports ({', '.join(ports)})")
    for key, pattern, what in (("main", PACKAGE, "a Go package"), ("build_id_var", VARIABLE, "PACKAGE.VARIABLE")):
        if doc.text(key) and not pattern.fullmatch(doc.text(key)):
            doc.complain(key, f"{doc.text(key)!r} is not {what}")
    if "..." in doc.text("main", "."):
        doc.complain("main", "one package is expected, not a pattern")
    if doc.has("name"):
        doc.check("name", label_fault(doc.text("name")))
    for name in ports:
        doc.check("ports", "" if PORT.fullmatch(name) else f"{name!r} is not a port name: use letters, digits, _ and -")
    doc.check("ports", "duplicate name" if len(set(ports)) < len(ports) else "")
    _check_ready(ready, headers)
    needed = {name for name in (doc.text("target"), ready.text("port")) if name in ports}
    topologies = {
        name: load_processes(doc.section("topologies"), name, ports, needed) for name in doc.section("topologies").names
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
        places={SERVICE_FILE: doc.document.places()},
    )
    doc.document.finish(problems)
    return service


def _check_ready(ready: Section, headers: Section) -> None:
    """Without a path a connection is enough: then there is no status and no header to check."""
    if ready.has("path"):
        ready.check("path", path_fault(ready.text("path")))
    elif ready.sound("path"):
        for section, key in ((ready, "status"), (headers, "build"), (headers, "form")):
            section.check(key, "requires ready.path: without it lab sends no HTTP request" if section.has(key) else "")
    for name in headers.names:
        headers.check(name, header_fault(headers.text(name), ""))


def load_reference(path: Path, problems: list[str] | None = None) -> tuple[dict[str, tuple[SpanNode, ...]], Places]:
    """Read reference-spans.yaml: request type -> its tree, parents before children; and the places of the keys."""
    doc = read(path).schema(1).only("schema", "requests").require("requests")
    out: dict[str, tuple[SpanNode, ...]] = {}
    requests = doc.section("requests")
    for name in requests.names:
        items = requests.sections(name)
        out[name] = tuple(map(_span_node, items))
        for index, key, why in reference_faults(name, out[name]):
            if all(item.sound("id") for item in items[: index + 1]):  # else the span may be one with an invalid id
                items[index].complain(key, why)
    doc.document.finish(problems)
    return out, doc.document.places()


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
        item.check("count", f"min {low} is above max {high}" if low > high and item.sound("count") else "")
    return SpanNode(
        id=item.text("id"),
        kind=item.text("kind", "internal", one_of=KINDS),
        family=item.text("family", "http", one_of=FAMILIES),
        match=item.text("match", "*"),
        parent=item.text("parent", ""),
        count_min=low,
        count_max=high,
    )
