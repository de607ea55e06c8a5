"""Readers of the two files called expected-spans.yaml: a form's own, and the one beside a service.

A form's file says what holds of that form in any service, by mechanism: it cannot name a request type, a span of a
reference tree or a topology. Those are names of one service, and what is known of a form there lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from lab.guest.wire import SpanNode
from lab.model.form import Expected, ExpectRule, ExtraRule
from lab.model.yamlspec import Section, nearest, read

EXPECTED_FILE: Final = "expected-spans.yaml"
CONDITIONS: Final = ("lockdown", "arch", "kernel")
RULE_NAMES: Final = ("request", "node", "topology")
EXTRA_NAMES: Final = ("request", "start")
ANY: Final = "*"


def load_expected(path: Path) -> tuple[Literal["all", "none"], Expected]:
    """Read a form's expected-spans.yaml: (default, what holds in any service). Raises ConfigError."""
    doc = read(path).schema(1).only("schema", "default", "rules", "extra")
    default = doc.text("default", "all", one_of=("all", "none"))
    rules = [_general(item, RULE_NAMES) for item in doc.sections("rules")]
    extra = [_general(item, EXTRA_NAMES) for item in doc.sections("extra")]
    expected = Expected(
        rules=tuple(_rule(item, *RULE_NAMES) for item in rules),
        extra=tuple(_extra(item, *EXTRA_NAMES) for item in extra),
    )
    doc.document.finish()
    return ("none" if default == "none" else "all"), expected


def _general(item: Section, names: tuple[str, ...]) -> Section:
    for key in (name for name in names if item.has(name)):
        item.complain(key, f"belongs to one service: write it into the {EXPECTED_FILE} beside that service")
    return item


def load_own_expected(path: Path, reference: Mapping[str, tuple[SpanNode, ...]]) -> dict[str, Expected]:
    """Read the expected-spans.yaml beside a service: form -> what is known of it there. Raises ConfigError."""
    doc = read(path).schema(1).only("schema", "forms")
    forms = doc.section("forms")
    found = {}
    for name in forms.names:
        section = forms.section(name).only("rules", "extra")
        rules = tuple(_named(item, reference) for item in section.sections("rules"))
        found[name] = Expected(
            rules=tuple(_rule(item, *RULE_NAMES) for item in rules),
            extra=tuple(_extra(_named(item, reference), *EXTRA_NAMES) for item in section.sections("extra")),
        )
    doc.document.finish()
    return found


def _named(item: Section, reference: Mapping[str, tuple[SpanNode, ...]]) -> Section:
    """A rule that names what the reference does not have would silently say nothing."""
    request, node = item.text("request", ANY), item.text("node", ANY)
    if request not in {ANY, *reference}:
        item.complain("request", f"{request!r} is no request type of the reference{nearest(request, reference)}")
        return item
    trees = reference.values() if request == ANY else [reference[request]]
    nodes = {one.id for tree in trees for one in tree}
    if node not in {ANY, *nodes}:
        item.complain("node", f"{node!r} is no span of the reference{nearest(node, nodes)}")
    return item


def _rule(item: Section, *names: str) -> ExpectRule:
    item.only("family", "kind", "expect", "parent", "cause", "when", *names)
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


def _extra(item: Section, *names: str) -> ExtraRule:
    item.only("family", "kind", "match", "per_request", "cause", "when", *names)
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
