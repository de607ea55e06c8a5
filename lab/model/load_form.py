"""Readers of a form's folder: form.yaml and expected-spans.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.buildspec import read_build
from lab.model.form import ExpectRule, ExtraRule, Form, FormAgent, OffWhen
from lab.model.yamlspec import Section, read

FORM_FILE: Final = "form.yaml"
EXPECTED_FILE: Final = "expected-spans.yaml"
CONDITIONS: Final = ("lockdown", "arch", "kernel")


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
