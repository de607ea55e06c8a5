"""A mapping read by the types of a dataclass."""

from __future__ import annotations

import pytest

from lab.model.form import BuildSpec, Conflict, Hold, ModuleSpec, ToolSpec
from lab.model.loading.typed import build
from lab.model.loading.yamlspec import parse

ALL = """
toolchain: go1.25.0
overlay: [a, b]
module: {require: {m: v1}, hold: {n: {at_least: v1, otherwise: v2}}, packages: [p]}
tools: [{name: t, module: tools/t, package: t/cmd}]
steps: [[go, build], [strip]]
uses: {CC: [clang, gcc]}
env:
"""


def test_every_kind_of_field_is_read() -> None:
    doc = parse("build.yaml", ALL)
    assert build(doc, BuildSpec) == BuildSpec(
        toolchain="go1.25.0",
        overlay=("a", "b"),
        module=ModuleSpec(require={"m": "v1"}, hold={"n": Hold(at_least="v1", otherwise="v2")}, packages=("p",)),
        tools=(ToolSpec(name="t", module="tools/t", package="t/cmd"),),
        steps=(("go", "build"), ("strip",)),
        uses={"CC": ("clang", "gcc")},
    )
    assert doc.document.problems == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tols: []", "b:1:7: tols: unknown key; did you mean 'tools'?"),
        ("tools: [{name: t, module: m}]", "b:1:9: tools[0].package: is required"),
        ("module:\n  hold: {m: {at_lest: v1, otherwise: v2}}", "did you mean 'at_least'?"),
        ("steps: [go]", "b:1:9: steps[0]: a list is expected"),
        ("env: [a]", "b:1:6: env: a mapping is expected"),
        ("toolchain: {}", "b:1:12: toolchain: one value is expected, not a list or mapping"),
        ("uses: {CC: gcc}", "b:1:12: uses.CC: a list is expected"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, fault: str) -> None:
    doc = parse("b", text)
    build(doc, BuildSpec)
    assert fault in "\n".join(doc.document.problems)


def test_a_flag_without_a_value_is_told() -> None:
    doc = parse("b", "why: x\nwarns:")
    build(doc, Conflict)
    assert "warns: true or false is expected" in doc.document.problems[0]
