"""TEST DATA. The plan of a made-up run: forms with planted behaviour, the sample service's own reference tree."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.guest.wire import (
    CellPlan,
    Expectation,
    FormExpectation,
    FormSpec,
    Life,
    Plan,
    ProcessSpec,
    RequestSpec,
    ServiceSpec,
    SpanNode,
    Tools,
)

ROOT = Path(__file__).resolve().parents[3]
RUN_ID = "20261122-101500-shop-test"
ORIGIN_NS = 1_795_000_000_000_000_000
MIX = (("browse", 55, 200), ("get", 10, 200), ("search", 15, 200), ("checkout", 12, 200), ("fail", 4, 500))
MAP_FULL = "the agent's map holds 50 calls and never forgets one"


@dataclass(frozen=True)
class Made:
    """How a made-up form behaves, relative to a made-up baseline."""

    mechanism: str = "none"
    cpu: float = 1.0
    latency: float = 1.0
    agent_s: float = 0.0  # CPU of its agent per request
    delay: str = ""
    loses: str = ""  # "family kind" not received after `first` calls
    first: int = 0
    orphans: float = 0.0  # share of inner server spans that lose their parent


FORMS = {
    "baseline": Made(),
    "twin": Made(cpu=1.013, latency=0.988),
    "orchestrion-otel": Made(mechanism="compile-time", cpu=1.36, latency=1.31),
    "ebpf": Made(
        mechanism="run-time", cpu=1.22, latency=1.19, agent_s=0.0042, loses="grpc server", first=50, orphans=0.04
    ),
    "delay-cpu": Made(cpu=1.21, latency=1.12, delay="cpu"),
    "delay-wait": Made(cpu=1.04, latency=1.22, delay="wait"),
}


@cache
def reference() -> dict[str, tuple[SpanNode, ...]]:
    """The sample service's own hand-written tree, for the types of the mix."""
    doc = yaml.safe_load((ROOT / "demo/service/reference-spans.yaml").read_text(encoding="utf-8"))
    return {kind: tuple(_node(item) for item in doc["requests"][kind]) for kind, _, _ in MIX}


def _node(item: dict[str, Any]) -> SpanNode:
    fields = {key: value for key, value in item.items() if key != "count"}
    return SpanNode(**fields, count_min=item.get("count", 1), count_max=item.get("count", 1))


def expectation(made: Made, tree: dict[str, tuple[SpanNode, ...]]) -> FormExpectation:
    if made.mechanism == "none":
        return FormExpectation(
            {t: tuple(Expectation(node=n.id, mode="none") for n in nodes) for t, nodes in tree.items()}
        )
    rules: dict[str, tuple[Expectation, ...]] = {}
    for kind, nodes in tree.items():
        lost = [n for n in nodes if f"{n.family} {n.kind}" == made.loses]
        below = [n for n in nodes if n.parent in {m.id for m in lost}]
        rules[kind] = (
            *(Expectation(node=n.id, mode="range", min_ratio=0, max_ratio=1, cause=MAP_FULL) for n in lost),
            *(Expectation(node=n.id, parent="may-be-lost") for n in below),
            *(
                Expectation(node=n.id, parent="may-be-lost")
                for n in nodes
                if made.orphans and n.kind == "server" and n not in lost and n.parent
            ),
        )
    return FormExpectation(rules)


def plan(blocks: int = 1, requests: int = 240, forms: dict[str, Made] | None = None) -> Plan:
    forms = forms or FORMS
    tree = reference()
    specs = {
        name: FormSpec(
            name=name,
            mechanism=made.mechanism,
            binary=f"{name}/shop",
            sha256=f"{index:064x}",
            build_id="b-plain" if made.mechanism != "compile-time" else f"b-{name}",
            proof="some" if made.mechanism != "none" else "none",
            expected=expectation(made, tree),
            delay_kind=made.delay,
        )
        for index, (name, made) in enumerate(forms.items())
    }
    lives = tuple(
        Life(block=block, form=name, cells=(CellPlan(f"{block}-{name}-main", "main", 6.0, block, 40, requests),))
        for block in range(1, blocks + 1)
        for name in random.Random(block).sample(list(forms), len(forms))
    )
    return Plan(
        run_id=RUN_ID,
        scenario="shop",
        profile="stage" if blocks == 1 else "quick",
        seed=20261122,
        service=ServiceSpec(
            "shop", "all", (ProcessSpec("shop", ("all",)),), ("gateway",), "gateway", "gateway", "/readyz"
        ),
        forms=specs,
        tools=Tools("load", "0" * 64, "sink", "0" * 64),
        reference=tree,
        requests=tuple(
            RequestSpec(type=kind, weight=weight, method="GET", path="/", status=(status,))
            for kind, weight, status in MIX
        ),
        lives=lives,
        canary=("browse", "get", "checkout"),
    )
