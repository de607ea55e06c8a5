"""Orders to forms on standby, with the real parts: what each tells, and what a part that dies costs."""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import time
from pathlib import Path
from typing import TypeVar

import pytest

from lab.guest.linux.facts import lockdown
from lab.guest.wire.live import (
    Accepted,
    Answered,
    Attached,
    AttachEnded,
    FormWindow,
    LiveEvent,
    LoadEnded,
    MachineWindow,
    Order,
    OrderEnded,
    PartEnded,
    Proof,
    Refused,
    RequestEnded,
    SpanSeen,
)
from tests.contract.guest.conftest import baseline, ebpf, leftovers, plan
from tests.contract.guest.standing import carried_out, give, on_standby, told, until_told

pytestmark = [pytest.mark.forms, pytest.mark.timeout(1800)]
T = TypeVar("T", bound=LiveEvent)


def of(events: list[LiveEvent], kind: type[T], form: str = "") -> list[T]:
    return [event for event in events if isinstance(event, kind) and form in ("", getattr(event, "form", ""))]


def end(events: list[LiveEvent]) -> OrderEnded:
    (last,) = of(events, OrderEnded)
    assert events[-1] is last, "nothing comes after the end"
    return last


def pids(artifacts: Path, name: str) -> list[int]:
    return [int(line.split()[0]) for line in leftovers(artifacts) if line.endswith(name)]


@pytest.mark.usefixtures("kernel_fs")
def test_a_request_a_duet_and_an_agent_attached_to_the_baseline(artifacts: Path, agent: Path, out: Path) -> None:
    forms = [baseline(artifacts), ebpf(artifacts, lockdown())]
    with on_standby(plan(artifacts, forms), out, artifacts) as process:
        asked = carried_out(out, process, kind="request", request="browse")
        assert end(asked).outcome == "done", asked
        assert of(asked, Accepted)[0].forms == ("baseline", "ebpf")
        plain, traced = of(asked, Answered)
        assert (plain.request_id, plain.ok, plain.form) == (traced.request_id, True, "baseline")
        assert plain.start_ns + plain.latency_ns <= traced.start_ns, "in turns"
        silent, whole = (of(asked, RequestEnded, form)[0] for form in ("baseline", "ebpf"))
        assert (silent.seen, silent.ok, silent.wanted, silent.expected) == (0, True, 4, 0)
        assert (whole.ok, whole.missing, whole.seen) == (True, (), len(of(asked, SpanSeen, "ebpf")))
        assert set(whole.node_of.values()) == {"gateway", "call-catalog", "catalog", "select-page"}
        assert whole.first_span_s is not None
        assert 0 < whole.first_span_s < 5

        duet = carried_out(out, process, kind="load", rate_rps=40.0, requests=80, seed=3)
        assert end(duet).outcome == "done", duet
        for form, gives in (("baseline", 0), ("ebpf", 1)):
            windows, total = of(duet, FormWindow, form), of(duet, LoadEnded, form)[0]
            assert [one.window for one in windows] == list(range(len(windows)))
            assert (total.sent, total.done, total.errors) == (80, 80, 0), total
            assert sum(one.done for one in windows) == windows[-1].total_done == 80
            assert total.spans_wanted == 3 * 60 + 20 + 60, "three in four are browse, of four spans"
            assert total.spans_seen == total.spans_expected == gives * total.spans_wanted
            assert total.cpu_s["service"] > 0
            assert (total.cpu_s["agent"] > 0) == bool(gives)
            assert sum(one.cpu_s["service"] for one in windows) <= total.cpu_s["service"] + 1e-6
        machine = of(duet, MachineWindow)
        assert len(machine) == len(of(duet, FormWindow, "ebpf"))
        gaps = [b.mono_ns - a.mono_ns for a, b in itertools.pairwise(machine)]
        assert statistics.median(gaps) == pytest.approx(0.5e9, rel=0.6)  # a busy host is late, and looks again

        before = pids(artifacts, "lab-agent")
        attached = carried_out(out, process, kind="attach", forms=("baseline",), agent_of="ebpf", request="venues")
        assert end(attached).outcome == "done", attached
        assert len(of(attached, Attached)) == len(of(attached, Answered)) == 1
        result = of(attached, AttachEnded)[0]
        assert (result.ok, len(of(attached, SpanSeen, "baseline")) >= 1) == (True, True)
        assert result.attach_s
        assert result.first_span_s
        assert len(pids(artifacts, "lab-agent")) == 2
        assert of(carried_out(out, process, kind="request", request="venues"), RequestEnded, "baseline")[0].seen == 1
        assert end(carried_out(out, process, kind="detach", forms=("baseline",))).outcome == "done"
        assert pids(artifacts, "lab-agent") == before
        proven = carried_out(out, process, kind="reprove")
        assert [(one.form, one.ok) for one in of(proven, Proof)] == [("ebpf", True), ("baseline", True)]
    assert leftovers(artifacts) == []


def test_an_order_is_stopped_and_another_meanwhile_refused(artifacts: Path, out: Path) -> None:
    forms = [baseline(artifacts), baseline(artifacts, "twin")]
    with on_standby(plan(artifacts, forms), out, artifacts) as process:
        load = give(out, process, Order(id="long", kind="load", rate_rps=50.0, requests=100_000))
        until_told(out, load, MachineWindow)
        refused = carried_out(out, process, kind="request", request="browse")
        assert [(type(one), one.running) for one in refused if isinstance(one, Refused)] == [(Refused, "long")]
        began = time.monotonic()
        (out / "orders" / "stop").touch()
        process.send_signal(signal.SIGUSR1)
        events = until_told(out, load, OrderEnded, 10)
        assert time.monotonic() - began < 1.5
        assert end(events).outcome == "stopped"
        assert [(one.form, one.ok) for one in of(events, LoadEnded)] == [("baseline", False), ("twin", False)]
        assert of(events, LoadEnded)[0].done > 0
        assert end(carried_out(out, process, kind="request", request="browse")).outcome == "done"
        wrong = carried_out(out, process, kind="request", request="nothing")
        assert "no request type nothing (known: browse, venues)" in of(wrong, Refused)[0].reason
        (out / "orders" / "torn.json").write_text('{"id": "torn", "kind"')
        process.send_signal(signal.SIGUSR1)
        assert "cannot be read" in of(until_told(out, "torn", Refused), Refused)[0].reason


@pytest.mark.parametrize("part", ["shop", "lab-sink", "lab-load", "hung"])
def test_a_part_that_ends_is_named_and_costs_its_own_form_only(artifacts: Path, out: Path, part: str) -> None:
    forms = [baseline(artifacts), baseline(artifacts, "twin")]
    with on_standby(plan(artifacts, forms), out, artifacts) as process:
        load = give(out, process, Order(id="load", kind="load", rate_rps=40.0, requests=100))
        until_told(out, load, MachineWindow)
        name, number = ("lab-load", signal.SIGSTOP) if part == "hung" else (part, signal.SIGKILL)
        os.kill(pids(artifacts, name)[0], number)
        events = until_told(out, load, OrderEnded)
        assert end(events).outcome == "failed"
        ended = {one.form: one for one in of(events, LoadEnded)}
        (told_of,) = of(events, PartEnded)
        if name == "lab-load":
            assert (told_of.form, told_of.role) == ("", "load")
            assert [one.ok for one in ended.values()] == [False, False]
        else:
            assert (told_of.form, told_of.role) == ("baseline", "service" if part == "shop" else "sink")
            assert "killed by signal 9" in told_of.how
            assert (ended["baseline"].ok, ended["twin"].ok, ended["twin"].done) == (False, True, 100)
        again = carried_out(out, process, kind="request", request="venues")
        good = {one.form: one.ok for one in of(again, RequestEnded)}
        assert good == {"baseline": name == "lab-load", "twin": True}, again
    assert leftovers(artifacts) == []


def test_the_leader_killed_in_an_order_leaves_nothing(artifacts: Path, out: Path) -> None:
    with on_standby(plan(artifacts, [baseline(artifacts)]), out, artifacts) as process:
        load = give(out, process, Order(id="load", kind="load", rate_rps=40.0, requests=10_000))
        until_told(out, load, MachineWindow)
        process.kill()
        ends = time.monotonic() + 10
        while leftovers(artifacts) and time.monotonic() < ends:
            time.sleep(0.05)
        assert leftovers(artifacts) == []
        assert not of(told(out, load), OrderEnded)
