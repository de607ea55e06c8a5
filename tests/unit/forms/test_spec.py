"""A form's data resolved for one machine and one topology.

Case: name-collision.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lab.forms import catalog, form_spec, service
from lab.forms.spec import delay_ns, expectation
from lab.guest.wire import Expectation, SpanNode
from lab.model.errors import ConfigError
from lab.model.facts import MachineFacts
from lab.model.form import Artifact, Expected, ExpectRule, Form
from lab.model.service import Service

NODES: dict[str, tuple[SpanNode, ...]] = {
    "buy": (
        SpanNode(id="front", kind="server", family="http", match="GET /x"),
        SpanNode(id="call", kind="client", family="grpc", match="a/B", parent="front"),
        SpanNode(id="back", kind="server", family="grpc", match="a/B", parent="call"),
    )
}

HERE = MachineFacts()


def form(*rules: ExpectRule, default: str = "all") -> Form:
    return Form(
        root=Path(),
        name="f",
        title="",
        mechanism="run-time",
        expected=Expected(rules=rules),
        default_expect=default,  # type: ignore[arg-type]
    )


def somewhere(**own: Expected) -> Service:
    """A service of which `own` is known, by form."""
    texts = ("name", "main", "target", "ready_port", "build_header", "form_header", "delay_header", "build_id_var")
    rest: dict[str, Any] = {
        "ports": (),
        "ready_status": (),
        "topologies": {},
        "delays": {},
        **dict.fromkeys(texts, "x"),
    }
    return Service(root=Path(), ready_path="/ready", reference=NODES, expected=own, **rest)


def resolved(made: Form, facts: dict[str, Any] | None = None, topology: str = "all") -> dict[str, Expectation]:
    service = somewhere(f=Expected())
    return {e.node: e for e in expectation(made, service, MachineFacts.of(facts or {}), topology).requests["buy"]}


def test_without_rules_everything_or_nothing_is_expected() -> None:
    assert {e.mode for e in resolved(form()).values()} == {"exact"}
    assert {e.mode for e in resolved(form(default="none")).values()} == {"none"}


def test_later_rules_win_and_selectors_narrow() -> None:
    seen = resolved(
        form(
            ExpectRule(family="grpc", mode="none", cause="a"),
            ExpectRule(kind="server", family="grpc", mode="first", first=50, parent="may-be-lost", cause="b"),
            ExpectRule(request="other", mode="none", cause="c"),
        )
    )
    assert seen["front"].mode == "exact"
    assert (seen["call"].mode, seen["call"].cause) == ("none", "a")
    assert (seen["back"].mode, seen["back"].first, seen["back"].parent) == ("first", 50, "may-be-lost")


@pytest.mark.parametrize(
    ("lockdown", "mode"), [("integrity", "none"), ("confidentiality", "none"), ("none", "exact"), ("", "exact")]
)
def test_a_condition_holds_only_for_its_facts(lockdown: str, mode: str) -> None:
    rule = ExpectRule(mode="none", cause="x", when={"lockdown": ("integrity", "confidentiality")})
    assert resolved(form(rule), {"lockdown": lockdown} if lockdown else {})["call"].mode == mode


def test_a_topology_narrows_a_rule() -> None:
    rule = ExpectRule(mode="none", cause="x", topology=("split",))
    assert resolved(form(rule), topology="all")["call"].mode == "exact"
    assert resolved(form(rule), topology="split")["call"].mode == "none"


def artifacts(names: tuple[str, ...]) -> dict[str, Artifact]:
    return {
        name: Artifact(name=name, key=name, path=Path(name), sha256=name, size_bytes=1, build_id=f"id-{name}")
        for name in names
    }


def test_agent_leaves_out_what_lockdown_forbids(repo: Path) -> None:
    ebpf, shop = catalog(repo)["ebpf"], service(repo)
    have = artifacts(("ebpf", "agent"))
    locked = form_spec(ebpf, have, MachineFacts(lockdown="integrity"), topology="all", service=shop)
    free = form_spec(ebpf, have, MachineFacts(lockdown="none"), topology="all", service=shop)
    assert locked.agent is not None
    assert free.agent is not None
    assert "google.golang.org/grpc:client" in locked.agent.off
    assert free.agent.off == ()
    assert locked.agent.binary == "bin/agent"
    assert locked.build_id == "id-ebpf"


def test_controls_get_their_size(repo: Path) -> None:
    control, shop = catalog(repo)["delay-cpu"], service(repo)
    made = form_spec(control, artifacts(("delay-cpu",)), HERE, topology="all", service=shop, costs={"cpu": 5e6})
    assert (made.args, made.delay_kind) == (("--delay-cpu=200000ns",), "cpu")  # 2 x 2 % of 5 ms
    with pytest.raises(ConfigError, match="cpu delay"):
        form_spec(
            control,
            artifacts(("delay-cpu",)),
            HERE,
            topology="all",
            service=dataclasses.replace(shop, delays={}),
        )


def test_nominal_size_is_larger_where_little_stands_out() -> None:
    native = delay_ns(("cpu", 2.0), HERE, None)
    emulated = delay_ns(("cpu", 2.0), MachineFacts(emulated=True), None)
    assert native == 40_000  # 2 x 2 % of 1 ms
    assert emulated == 3_000_000  # 10 % of 30 ms
    counted = MachineFacts(emulated=True, clock="counted")
    assert delay_ns(("cpu", 2.0), counted, None) == 40_000  # a count shows as little as a quiet machine
    assert delay_ns(("cpu", 2.0), counted, None, {"cpu": 4.6e6}) == 184_000


def test_every_form_names_a_cause_where_it_differs(repo: Path) -> None:
    for made in catalog(repo).values():
        own = service(repo).expected.get(made.name, Expected())
        for rule in (*made.expected.rules, *own.rules):
            assert rule.cause, f"{made.name}: {rule}"


def test_no_context_of_a_service_nobody_wrote_about_nothing_is_expected_and_everything_may_hang_anywhere() -> None:
    general = ExpectRule(family="grpc", kind="server", mode="none", cause="by mechanism")
    known = expectation(form(general), somewhere(f=Expected()), HERE, "all")
    unknown = expectation(form(general), somewhere(other=Expected()), HERE, "all")
    assert (known.known, unknown.known) == (True, False)
    assert [e.parent for e in known.requests["buy"]] == ["always", "always", "always"]
    assert [e.parent for e in unknown.requests["buy"]] == ["always", "may-be-wrong", "may-be-wrong"]
    assert [e.mode for e in unknown.requests["buy"]] == ["exact", "exact", "none"], "what holds by mechanism holds here"
    assert expectation(form(default="none"), somewhere(), HERE, "all").known, "no span is expected of it anywhere"


def test_what_is_known_here_wins_over_what_holds_anywhere() -> None:
    here = Expected(rules=(ExpectRule(request="buy", node="call", mode="range", min_ratio=0.5, cause="seen here"),))
    made = expectation(form(ExpectRule(family="grpc", mode="none", cause="a")), somewhere(f=here), HERE, "all")
    assert {e.node: e.mode for e in made.requests["buy"]} == {"front": "exact", "call": "range", "back": "none"}
    assert [(extra.match, extra.start) for extra in made.extra] == [("GET /ready", True)]


def test_name_collision_no_form_names_what_belongs_to_one_service(repo: Path) -> None:
    """Request types, spans and topologies of the sample shop are known beside the shop, and nowhere else."""
    for made in catalog(repo).values():
        assert {(r.request, r.node, r.topology) for r in made.expected.rules} <= {("*", "*", ())}
        assert {(e.request, e.start) for e in made.expected.extra} <= {("*", False)}
    shop = service(repo)
    alike = dataclasses.replace(shop, expected={})  # every name of the shop, and its name too
    for made in catalog(repo).values():
        there = expectation(made, alike, MachineFacts(lockdown="none"), "all")
        causes = {e.cause for nodes in there.requests.values() for e in nodes} | {e.cause for e in there.extra}
        assert causes <= {r.cause for r in made.expected.rules} | {e.cause for e in made.expected.extra} | {
            "", "this form gives no spans", "lab asks whether the service is ready",
        }  # fmt: skip
