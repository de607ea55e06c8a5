"""Forms on standby with the real parts: proven again by a new agent, gone without a trace, giving way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux.facts import lockdown
from lab.guest.wire.live import Order
from tests.contract.guest.conftest import (
    ROOT,
    baseline,
    ebpf,
    events,
    guest_argv,
    leftovers,
    plan,
    run_guest,
    write_plan,
)
from tests.contract.guest.standing import give, on_standby, wait_for

pytestmark = [pytest.mark.forms, pytest.mark.timeout(1800)]


def proofs(out: Path, rounds: int) -> dict[str, dict[str, Any]]:
    wait_for(out, lambda told: told["kind"] == "state" and told["data"].get("round") == rounds)
    told = [told["data"] for told in events(out) if told["kind"] == "proof" and told["data"]["round"] == rounds]
    return {one["form"]: one for one in told}


def agents(artifacts: Path) -> list[str]:
    return [line.split()[0] for line in leftovers(artifacts) if line.endswith("lab-agent")]


@pytest.mark.usefixtures("kernel_fs")
def test_each_round_is_proven_by_the_kept_agent_or_by_a_new_one(artifacts: Path, agent: Path, out: Path) -> None:
    forms = [baseline(artifacts), ebpf(artifacts, lockdown())]
    with on_standby(plan(artifacts, forms), out, artifacts) as process:
        first = proofs(out, 1)
        assert {name: (one["ok"], one.get("spans", 0) > 0) for name, one in first.items()} == {
            "baseline": (True, False),
            "ebpf": (True, True),
        }, first
        kept = agents(artifacts)
        services = [line for line in leftovers(artifacts) if line.endswith("shop")]
        assert (len(kept), len(services)) == (1, 2), "the agent that proved it made way for a fresh one"
        for rounds, reattach in ((2, False), (3, True), (4, False)):
            before = agents(artifacts)
            give(out, process, Order(id=f"round{rounds}", kind="reprove", reattach=reattach))
            again = proofs(out, rounds)
            assert {name: one["ok"] for name, one in again.items()} == {"baseline": True, "ebpf": True}, again
            assert again["ebpf"]["spans"] >= 1
            assert again["baseline"]["spans"] == 0
            if reattach:
                assert 0 < again["ebpf"]["attach_s"] < again["ebpf"]["seconds"]
                assert set(agents(artifacts)).isdisjoint(before), "the agent was attached again"
            else:
                assert again["ebpf"]["attach_s"] is None
                assert agents(artifacts) == before
            assert [line for line in leftovers(artifacts) if line.endswith("shop")] == services, "services go on"
    assert process.returncode == 0
    assert leftovers(artifacts) == []


def test_a_form_that_fails_is_told_and_the_others_stay(artifacts: Path, out: Path) -> None:
    value = plan(artifacts, [baseline(artifacts, "broken", build_id="another"), baseline(artifacts)])
    with on_standby(value, out, artifacts) as process:
        first = proofs(out, 1)
        assert (first["broken"]["ok"], first["baseline"]["ok"]) == (False, True)
        assert "another" in first["broken"]["reason"]
        assert len(leftovers(artifacts)) == 2, "one service and its sink"
        shop = next(line.split()[0] for line in leftovers(artifacts) if line.endswith("shop"))
        os.kill(int(shop), signal.SIGKILL)
        give(out, process, Order(id="again", kind="reprove"))
        second = proofs(out, 2)
        assert not second["baseline"]["ok"]
        assert "cannot send" in second["baseline"]["reason"] or "killed" in second["baseline"]["reason"], second


def test_it_gives_way_to_a_run_and_to_another_standby(artifacts: Path, out: Path) -> None:
    value = plan(artifacts, [baseline(artifacts)])
    argv = guest_argv(write_plan(out.parent, value), out, artifacts, verb="standby")
    with subprocess.Popen(argv, cwd=ROOT) as first:
        proofs(out, 1)
        code, answer = run_guest(value, out.parent / "two", artifacts)
        assert (code, "in progress" in answer["error"]) == (8, True), "a foreground run asks nobody to go"
        other = out.parent / "three"
        argv = guest_argv(write_plan(other.parent, value), other, artifacts, verb="start-standby")
        for _ in range(2):  # the second finds the first one's events there: they must not be read as its own
            subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
            told = events(other) if (other / "events.jsonl").exists() else []
            assert not [one for one in told if one["kind"] == "state"]
            assert first.wait(30) == 0
            proofs(other, 1)
    run = out.parent / "four"
    argv = guest_argv(write_plan(run.parent, value), run, artifacts, verb="start")
    said = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout
    assert '"gave_way": true' in said
    wait_for(run, lambda told: told["kind"] == "done", 100)
    ends = time.monotonic() + 20
    while leftovers(artifacts) and time.monotonic() < ends:
        time.sleep(0.1)
    assert leftovers(artifacts) == []
