"""Readers of the files that are data: service, reference spans, forms, expected spans, scenarios."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lab.guest.wire import ProcessSpec, RequestSpec, SpanNode
from lab.model.buildspec import read_build
from lab.model.form import ExpectRule, ExtraRule, Form, FormAgent, OffWhen
from lab.model.scenario import Scenario, is_param, request_faults
from lab.model.service import PACKAGE, VARIABLE, Service
from lab.model.yamlspec import Section, read

SERVICE_FILE: Final = "service.yaml"
REFERENCE_FILE: Final = "reference-spans.yaml"
SCENARIO_FILE: Final = "scenario.yaml"  # beside a service of one's own: taken when no other scenario is named
FORM_FILE: Final = "form.yaml"
EXPECTED_FILE: Final = "expected-spans.yaml"
KINDS: Final = ("server", "client", "internal", "producer", "consumer")
FAMILIES: Final = ("http", "grpc", "sql", "internal")
PROFILES: Final = ("stage", "quick", "rehearsal", "full")
CONDITIONS: Final = ("lockdown", "arch", "kernel")


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


def load_form(root: Path) -> Form:
    """Read one folder of demo/forms. Raises ConfigError with every problem of one of its files."""
    doc = read(root / FORM_FILE).schema(1)
    doc.only(
        "schema",
        "name",
        "title",
        "mechanism",
        "of",
        "build",
        "env",
        "args",
        "delay",
        "agent",
        "needs",
        "proof",
        "claims",
    )
    doc.require("name", "title", "mechanism")
    if doc.has("name") and doc.text("name") != root.name:
        doc.complain("name", f"must be the folder's name, {root.name!r}")
    needs = doc.section("needs").only("root", "kernel", "bpf_objects")
    proof = doc.section("proof").only("spans")
    delay = doc.section("delay").only("cpu", "wait")
    default, rules, extra = load_expected(root / EXPECTED_FILE)
    mechanism = doc.text("mechanism", "none", one_of=("none", "compile-time", "run-time"))
    form = Form(
        root=root,
        name=doc.text("name"),
        title=doc.text("title"),
        mechanism=mechanism,  # type: ignore[arg-type]  # checked by one_of
        of=doc.text("of", ""),
        build=read_build(doc.section("build")) if doc.has("build") else None,
        env=doc.texts("env"),
        args=doc.strs("args"),
        delay=next(((kind, delay.number(kind, 2.0, low=0.0)) for kind in delay.names), None),
        agent=_agent(doc.section("agent")) if doc.has("agent") else None,
        needs_root=needs.flag("root"),
        needs_kernel=needs.strs("kernel"),
        proof="some" if proof.text("spans", "none", one_of=("some", "none")) == "some" else "none",
        default_expect=default,  # type: ignore[arg-type]  # checked by one_of
        rules=rules,
        extra=extra,
        claims=doc.strs("claims"),
    )
    if form.build is None and not form.of:
        doc.complain("build", "is needed, or `of:` naming the form whose binary is used")
    doc.document.finish()
    return form


def _agent(section: Section) -> FormAgent:
    section.only("artifact", "argv", "env", "off_when", "ready_timeout_s").require("artifact", "argv")
    off_when = []
    for item in section.sections("off_when"):
        item.only("off", *CONDITIONS).require("off")
        when = {key: item.strs(key) for key in item.names if key != "off"}
        off_when.append(OffWhen(when=when, off=item.strs("off")))
    return FormAgent(
        artifact=section.text("artifact"),
        argv=section.strs("argv"),
        env=section.texts("env"),
        off_when=tuple(off_when),
        ready_timeout_s=section.number("ready_timeout_s", 120.0, low=1),
    )


def load_expected(path: Path) -> tuple[str, tuple[ExpectRule, ...], tuple[ExtraRule, ...]]:
    """Read expected-spans.yaml: (default, rules, extra)."""
    doc = read(path).schema(1).only("schema", "default", "rules", "extra")
    default = doc.text("default", "all", one_of=("all", "none"))
    rules = tuple(_rule(item) for item in doc.sections("rules"))
    extra = tuple(_extra(item) for item in doc.sections("extra"))
    doc.document.finish()
    return default, rules, extra


def _rule(item: Section) -> ExpectRule:
    item.only("request", "node", "family", "kind", "expect", "parent", "cause", "when", "topology")
    first, low, high, mode = 0, 1.0, 1.0, "exact"
    if item.has("expect") and isinstance(item.plain("expect"), dict):
        expect = item.section("expect").only("first", "min_ratio", "max_ratio")
        mode = "first" if expect.has("first") else "range"
        first = expect.whole("first", 0, low=0)
        low, high = expect.number("min_ratio", 0.0, low=0), expect.number("max_ratio", 1.0, low=0)
    else:
        mode = item.text("expect", "exact", one_of=("none", "exact"))
    if mode != "exact" and not item.has("cause"):
        item.complain("cause", "is needed where spans are not as in the reference (`unknown` is allowed)")
    if item.has("parent") and isinstance(item.plain("parent"), dict):
        parent = item.section("parent").only("node").require("node").text("node")
    else:
        parent = item.text("parent", "always", one_of=("always", "may-be-lost", "may-be-wrong", "root"))
    return ExpectRule(
        request=item.text("request", "*"),
        node=item.text("node", "*"),
        family=item.text("family", ""),
        kind=item.text("kind", ""),
        mode=mode,
        first=first,
        min_ratio=low,
        max_ratio=high,
        parent=parent,
        cause=item.text("cause", ""),
        when=_when(item),
        topology=item.strs("topology"),
    )


def _extra(item: Section) -> ExtraRule:
    item.only("request", "family", "kind", "match", "per_request", "start", "cause", "when")
    return ExtraRule(
        request=item.text("request", "*"),
        family=item.text("family", ""),
        kind=item.text("kind", ""),
        match=item.text("match", "*"),
        per_request=item.number("per_request", 1.0, low=0),
        start=item.flag("start"),
        cause=item.text("cause", ""),
        when=_when(item),
    )


def _when(item: Section) -> dict[str, tuple[str, ...]]:
    when = item.section("when").only(*CONDITIONS)
    return {key: when.strs(key) for key in when.names}


def load_scenario(path: Path) -> Scenario:
    """Read one scenario. Raises ConfigError with every problem."""
    doc = read(path).schema(1)
    doc.only(
        *("schema", "name", "title", "service", "topology", "requests", "rate_rps", "seconds", "warmup_requests"),
        *("arrivals", "primary", "threshold_pct", "forms"),
    )
    doc.require("name", "title", "requests", "rate_rps")
    rates = doc.section("rate_rps").only("emulated", "native").require("emulated", "native")
    seconds = doc.section("seconds").only(*PROFILES)
    thresholds = doc.section("threshold_pct")
    scenario = Scenario(
        path=path,
        name=doc.text("name"),
        title=doc.text("title"),
        service=doc.text("service", "demo/service"),
        topology=doc.text("topology", "all"),
        requests=tuple(_request(item) for item in doc.sections("requests")),
        rate_rps={key: rates.number(key, 1.0, low=0.01, high=1e6) for key in rates.names},
        seconds={name: seconds.number(name, 20.0, low=1, high=86400) for name in PROFILES},
        warmup_requests=doc.whole("warmup_requests", 40, low=0, high=1_000_000),
        arrivals=doc.text("arrivals", "poisson", one_of=("poisson", "uniform")),
        primary=doc.strs("primary", ("cpu_s_per_1k_requests", "latency_p50_ms")),
        threshold_pct={key: thresholds.number(key, 2.0, low=0) for key in thresholds.names},
        forms=doc.strs("forms"),
    )
    names = [request.type for request in scenario.requests]
    for name in sorted({name for name in names if names.count(name) > 1}):
        doc.complain("requests", f"the type {name!r} is there twice")
    if not any(request.weight > 0 for request in scenario.requests):
        doc.complain("requests", "at least one request type with a weight above 0 is needed")
    doc.document.finish()
    return scenario


def _request(item: Section) -> RequestSpec:
    item.only("type", "weight", "method", "path", "body", "headers", "params", "status", "timeout_s", "expect_timeout")
    item.require("type", "path")
    params = {name: item.section("params").plain(name) for name in item.section("params").names}
    for name, param in params.items():
        if not is_param(param):
            text = "write {int: [first, last]}, first not above last, or {choice: [a, b]}, numbers there in quotes"
            item.section("params").complain(name, text)
    statuses = item.strs("status", ("200",))
    if not all(re.fullmatch("[1-5][0-9][0-9]", status) for status in statuses):
        item.complain("status", "a list of HTTP status codes is expected")
        statuses = ("200",)
    request = RequestSpec(
        type=item.text("type"),
        weight=item.number("weight", 1.0, low=0),
        method=item.text("method", "GET"),
        path=item.text("path", "/"),
        body=item.text("body", ""),
        headers=item.texts("headers"),
        params=params,
        status=tuple(int(status) for status in statuses),
        timeout_s=item.number("timeout_s", 10.0, low=0.001) if item.has("timeout_s") else None,
        expect_timeout=item.flag("expect_timeout"),
    )
    for key, text in request_faults(request):
        item.complain(key, text)
    return request
