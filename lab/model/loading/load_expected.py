"""Readers of the two kinds of expected-spans.yaml: of a form, and of a service.

A form's file has the rules for every service: it must not name a request type, a span of a reference tree or a
topology. Those are names of one service; rules with them are in the file beside that service.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab.guest.wire import SpanNode
from lab.model.form import Expected, ExpectRule, ExtraRule
from lab.model.loading import yamltext
from lab.model.loading.yamlspec import Section, nearest, read
from lab.model.problems import Places

EXPECTED_FILE: Final = "expected-spans.yaml"
KINDS: Final = ("server", "client", "internal", "producer", "consumer")
FAMILIES: Final = ("http", "grpc", "sql", "internal")
CONDITIONS: Final = ("lockdown", "arch", "kernel")
# possible facts of a machine (lab/guest/linux/facts.py); a kernel release may be anything
FACTS: Final = {"lockdown": ("none", "integrity", "confidentiality", "unknown"), "arch": ("x86_64", "aarch64")}
PARENTS: Final = ("always", "may-be-lost", "may-be-wrong", "root")
RULE_KEYS: Final = ("family", "kind", "expect", "parent", "cause", "when")
EXTRA_KEYS: Final = ("family", "kind", "match", "per_request", "cause", "when")
RULE_NAMES: Final = ("request", "node", "topology")
EXTRA_NAMES: Final = ("request", "start")
ANY: Final = "*"


def load_expected(path: Path) -> tuple[Literal["all", "none"], Expected]:
    """Read a form's expected-spans.yaml: (default, rules for every service). Raises ConfigError."""
    doc = read(path).schema(1).only("schema", "default", "rules", "extra")
    default = doc.text("default", "all", one_of=("all", "none"))
    rules = [_general(item.only(*RULE_KEYS, *RULE_NAMES), RULE_NAMES) for item in doc.sections("rules")]
    extra = [_general(item.only(*EXTRA_KEYS, *EXTRA_NAMES), EXTRA_NAMES) for item in doc.sections("extra")]
    expected = Expected(rules=tuple(map(_rule, rules)), extra=tuple(map(_extra, extra)))
    doc.document.finish()
    return ("none" if default == "none" else "all"), expected


def _general(item: Section, names: tuple[str, ...]) -> Section:
    for key in (name for name in names if item.has(name)):
        item.complain(key, f"is specific to one service: move it to the {EXPECTED_FILE} beside that service")
    return item


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNames:
    """The names of one service that its expected-spans.yaml may use; `topologies`: None where they are unknown."""

    reference: Mapping[str, tuple[SpanNode, ...]]
    places: Places
    topologies: Collection[str] | None = None


def load_own_expected(
    path: Path, known: ServiceNames, problems: list[str] | None = None
) -> tuple[dict[str, Expected], Places]:
    """Read the expected-spans.yaml beside a service: form -> its expectation there; and the places of the keys.

    Raises ConfigError; with `problems`, appends to that list instead.
    """
    doc = read(path).schema(1).only("schema", "forms")
    forms = doc.section("forms")
    found = {}
    for name in forms.names:
        section = forms.section(name).only("rules", "extra")
        rules = tuple(_named(item.only(*RULE_KEYS, *RULE_NAMES), known) for item in section.sections("rules"))
        extra = [item.only(*EXTRA_KEYS, *EXTRA_NAMES) for item in section.sections("extra")]
        found[name] = Expected(
            rules=tuple(map(_rule, rules)), extra=tuple(_extra(_named(item, known)) for item in extra)
        )
    doc.document.finish(problems)
    return found, doc.document.places()


def _named(item: Section, known: ServiceNames) -> Section:
    """Check the names in a rule: one with an unknown name would never match."""
    for topology in item.strs("topology"):
        if known.topologies is not None and topology not in known.topologies:
            near = nearest(topology, known.topologies)
            item.complain("topology", f"{topology!r} is not a topology of the service{near}")
    reference, request = known.reference, item.text("request", ANY)
    if request not in {ANY, *reference}:
        if known.places.sound(yamltext.join("requests", request)):
            item.complain("request", f"{request!r} is not a request type of the reference{nearest(request, reference)}")
        return item
    trees = reference if request == ANY else {request: reference[request]}
    ids = (f"requests.{name}[{at}].id" for name, tree in trees.items() for at in range(max(1, len(tree))))
    if not known.places.sound(*ids):
        return item  # it may be a span with an invalid id
    nodes = {one.id for tree in trees.values() for one in tree}
    _check_node(item, "node", nodes)
    if item.has("parent") and isinstance(item.plain("parent"), dict):
        _check_node(item.section("parent"), "node", nodes)
    return item


def _check_node(item: Section, key: str, nodes: Collection[str]) -> None:
    node = item.text(key, ANY)
    if node not in {ANY, *nodes}:
        item.complain(key, f"{node!r} is not a span of the reference{nearest(node, nodes)}")


def _rule(item: Section) -> ExpectRule:
    first, low, high, mode = 0, 1.0, 1.0, "exact"
    if item.has("expect") and isinstance(item.plain("expect"), dict):
        expect = item.section("expect").only("first", "min_ratio", "max_ratio")
        mode = "first" if expect.has("first") else "range"
        first = expect.whole("first", 0, low=0)
        low, high = expect.number("min_ratio", 0.0, low=0), expect.number("max_ratio", 1.0, low=0)
        if low > high and expect.sound("min_ratio", "max_ratio"):
            item.complain("expect", f"min_ratio {low:g} is above max_ratio {high:g}")
        if mode == "first" and (expect.has("min_ratio") or expect.has("max_ratio")):
            item.complain("expect", "either `first`, or `min_ratio` and `max_ratio`")
        if not expect.names and expect.sound("first"):
            item.complain("expect", "`first`, or `min_ratio` and `max_ratio`, is required")
    else:
        mode = item.text("expect", "exact", one_of=("none", "exact"))
    if mode != "exact" and not item.has("cause"):
        item.complain("cause", "is required where spans differ from the reference (`unknown` is allowed)")
    if item.has("parent") and isinstance(item.plain("parent"), dict):
        parent = item.section("parent").only("node").require("node").text("node")
    else:
        parent = item.text("parent", "always", one_of=PARENTS)
    return ExpectRule(
        request=item.text("request", "*"),
        node=item.text("node", "*"),
        family=item.text("family", "", one_of=FAMILIES),
        kind=item.text("kind", "", one_of=KINDS),
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
    return ExtraRule(
        request=item.text("request", "*"),
        family=item.text("family", "", one_of=FAMILIES),
        kind=item.text("kind", "", one_of=KINDS),
        match=item.text("match", "*"),
        per_request=item.number("per_request", 1.0, low=0),
        start=item.flag("start"),
        cause=item.text("cause", ""),
        when=_when(item),
    )


def _when(item: Section) -> dict[str, tuple[str, ...]]:
    when = item.section("when").only(*CONDITIONS)
    found = {key: when.strs(key) for key in when.names}
    for key, values in found.items():
        wrong = [value for value in values if value not in FACTS.get(key, values)]
        if wrong:
            when.complain(key, f"{wrong[0]!r} is not one of {', '.join(FACTS[key])}{nearest(wrong[0], FACTS[key])}")
    return found
