"""Readers of a form's folder: form.yaml and expected-spans.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.form import BuildSpec, Conflict, Form, FormAgent, OffWhen
from lab.model.loading.load_expected import CONDITIONS, EXPECTED_FILE, load_expected
from lab.model.loading.typed import build
from lab.model.loading.yamlspec import Section, read
from lab.model.names import file_name_fault

FORM_FILE: Final = "form.yaml"


def load_form(root: Path) -> Form:
    """Read one folder of demo/forms. Raises ConfigError with every problem of one of its files."""
    doc = read(root / FORM_FILE).schema(1)
    doc.only(
        *("schema", "name", "title", "mechanism", "of", "build", "env", "args", "delay", "agent", "conflicts"),
        *("proof", "claims"),
    )
    doc.require("name", "title", "mechanism")
    if doc.has("name") and doc.text("name") != root.name:
        doc.complain("name", f"must be the name of the folder, {root.name!r}")
    if doc.has("name"):
        doc.check("name", file_name_fault(doc.text("name")))  # part of the names of cells, and a cell of tables
    proof = doc.section("proof").only("spans")
    delay = doc.section("delay").only("cpu", "wait")
    default, expected = load_expected(root / EXPECTED_FILE)
    mechanism = doc.text("mechanism", "none", one_of=("none", "compile-time", "run-time"))
    form = Form(
        root=root,
        name=doc.text("name"),
        title=doc.text("title"),
        mechanism=mechanism,  # type: ignore[arg-type]  # checked by one_of
        of=doc.text("of", ""),
        build=build(doc.section("build"), BuildSpec) if doc.has("build") else None,
        env=doc.texts("env"),
        args=doc.strs("args"),
        delay=next(((kind, delay.number(kind, 2.0, low=0.0)) for kind in delay.names), None),
        agent=_agent(doc.section("agent")) if doc.has("agent") else None,
        conflicts=tuple(build(item, Conflict) for item in doc.sections("conflicts")),
        proof="some" if proof.text("spans", "none", one_of=("some", "none")) == "some" else "none",
        default_expect=default,
        expected=expected,
        claims=doc.strs("claims"),
    )
    if form.build is None and not form.of:
        doc.complain("build", "is required, or `of:` with the form whose binary is used")
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
