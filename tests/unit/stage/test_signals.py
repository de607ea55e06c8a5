"""Signals from the events of a beat."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from lab.guest.wire.live import (
    Answered,
    AttachEnded,
    FormWindow,
    LiveEvent,
    LoadEnded,
    MachineWindow,
    PartEnded,
    RequestEnded,
)
from lab.stage.beat.scene import Scene
from lab.stage.beat.signals import Signals, of
from tests.unit.stage import orders_script as script
from tests.unit.stage.scripted import Cast, a_lab, a_show

FORM = FormWindow(
    order="1",
    at_ns=0,
    form="ebpf",
    window=0,
    seconds=0.5,
    draining=False,
    sent=10,
    done=10,
    errors=0,
    late=0,
    in_flight=0,
    p50_ns=4_000_000,
    p99_ns=9_000_000,
    cpu_s={},
    rss_mib={},
    total_done=10,
    spans_wanted=40,
    spans_expected=40,
    spans_seen=40,
)
MACHINE = MachineWindow(
    order="1",
    at_ns=0,
    window=0,
    seconds=0.5,
    mono_ns=10**9,
    wall_ns=5 * 10**9,
    cpus=2,
    busy_s=0.4,
    steal_s=0.1,
    psi_cpu_s=0.05,
    load_cpu_s=0.1,
    lab_cpu_s=0.01,
    other_cpu_s=0.2,
    sentinel_s=0.004,
)
ENDED = LoadEnded(
    order="1",
    at_ns=0,
    form="ebpf",
    ok=True,
    reason="",
    seconds=5.0,
    sent=100,
    done=100,
    errors=0,
    late=0,
    p50_ns=None,
    p99_ns=None,
    cpu_s={},
    rss_mib={},
    spans_wanted=400,
    spans_expected=400,
    spans_seen=380,
    build_ids={"aa": 90, "bb": 10, "": 1},
)
REQUEST = RequestEnded(
    order="2",
    at_ns=0,
    form="ebpf",
    ok=False,
    reason="",
    wanted=4,
    expected=4,
    seen=4,
    wrong_parent=("db",),
    parent_missing=("s1",),
    misplaced=2,
    instrumented=True,
    first_span_s=0.7,
)


def at(window: int, **other: object) -> FormWindow:
    return replace(FORM, window=window, **other)  # type: ignore[arg-type]


def test_no_event_tells_nothing() -> None:
    assert of([]) == Signals()


def test_the_machine_in_shares_of_its_cpu_time() -> None:
    events = [replace(MACHINE, window=n, mono_ns=n * 10**9, wall_ns=n * 10**9 + 7) for n in range(4)]
    found = of(events)
    assert found.steal == pytest.approx(0.1)
    assert found.others == pytest.approx(0.2)
    assert found.pressure == pytest.approx(0.1)
    assert found.generator == pytest.approx(0.2)
    assert found.sentinel_ms == pytest.approx(4.0)
    assert found.clock_step_ms == 0.0
    assert of([replace(MACHINE, psi_cpu_s=None)]).pressure is None


def test_a_quota_and_a_wait_for_the_cpu() -> None:
    held = [replace(MACHINE, throttled_s=0.3), replace(MACHINE, throttled_s=0.5)]
    assert of(held).throttled == pytest.approx(0.4)
    assert of([MACHINE]).throttled is None, "an older guest does not tell"
    waits = {"baseline": 2.0, "ebpf": 4.0, "otel": 90.0}
    loads = [replace(ENDED, form=form, cpu_s={"service": 2.0}, wait_s={"service": s}) for form, s in waits.items()]
    assert of(loads).waited == 2.0
    assert of([ENDED]).waited is None


def test_one_slow_look_at_the_fixed_work_is_no_slow_cpu() -> None:
    assert of([replace(MACHINE, sentinel_s=s) for s in (0.004, 0.1, 0.004)]).sentinel_ms == pytest.approx(4.0)


@pytest.mark.parametrize("step_s", [3.0, -3.0])
def test_a_step_of_the_clock(step_s: float) -> None:
    walls = [10.0, 10.5, 11.0 + step_s, 11.5 + step_s]
    events = [replace(MACHINE, mono_ns=int(n * 5e8), wall_ns=int(wall * 1e9)) for n, wall in enumerate(walls)]
    assert of(events).clock_step_ms == pytest.approx(3000.0)


def test_a_trend_is_of_every_form() -> None:
    falling = [at(n, p50_ns=8_000_000 if n < 3 else 4_000_000) for n in range(9)]
    even = [at(n, form="baseline") for n in range(9)]
    assert of(falling).trend == pytest.approx(2.0)
    assert of([*falling, *even]).trend == pytest.approx(1.0)
    assert of(falling[:2]).trend is None
    draining = [at(9, p50_ns=10**9, draining=True)]
    assert of([*falling, *draining]).trend == pytest.approx(2.0)


def test_spans_late_sends_and_builds() -> None:
    found = of([at(0, late=1), at(1, late=2), ENDED, REQUEST])
    assert found.spans == {"ebpf": 384 / 404}
    assert found.late == pytest.approx(0.15)
    assert found.builds == {"ebpf": ("aa", "bb")}
    assert found.parents == {"ebpf": 0.5}
    assert of([replace(REQUEST, seen=3)]).parents == {}, "the parent of a span may be the one that was dropped"
    orphan = replace(REQUEST, wrong_parent=("db",), parent_missing=("s1",), misplaced=1)
    assert of([orphan]).parents == {"ebpf": 0.25}, "the orphan is the span of that node"
    assert of([replace(REQUEST, misplaced=None)]).parents == {}, "an older guest does not tell"


def test_the_share_of_answers_that_were_not_as_expected() -> None:
    assert of([replace(ENDED, errors=25), replace(ENDED, form="otel")]).errors == {"ebpf": 0.25, "otel": 0.0}
    assert of([script.answered("ebpf"), script.answered("ebpf", status=500)]).errors == {"ebpf": 0.5}
    assert of([replace(ENDED, done=0)]).errors == {}, "nothing was answered"


def test_the_longest_time_without_a_span() -> None:
    late = [at(n, spans_seen=40 * max(0, n - 1)) for n in range(6)]
    assert of(late).silent_s == {"ebpf": 1.0}
    assert of([*late, REQUEST]).silent_s == {"ebpf": 1.0}
    assert of([REQUEST]).silent_s == {"ebpf": 0.7}
    stopped = [at(n, spans_seen=40 * min(n + 1, 3)) for n in range(8)]
    assert of(stopped).silent_s == {"ebpf": 2.5}
    drained = [*late, *(at(n, spans_seen=160, done=0, draining=True) for n in range(6, 12))]
    assert of(drained).silent_s == {"ebpf": 1.0}
    never: list[LiveEvent] = [at(n, spans_seen=0) for n in range(6)]
    assert of(never).silent_s == {"ebpf": 3.0}
    assert of([at(0, spans_expected=0, spans_seen=0)]).silent_s == {}


def test_the_forms_that_have_an_agent() -> None:
    """All forms have its role; one without an agent uses nothing by it."""
    none = {"service": 1.0, "agent": 0.0, "sink": 0.1}
    assert of([at(0, cpu_s=none, rss_mib=none), replace(ENDED, cpu_s=none, rss_mib=none)]).agents == ()
    assert of([at(0, cpu_s=none, rss_mib={**none, "agent": 50.0})]).agents == ("ebpf",)
    assert of([replace(ENDED, cpu_s={**none, "agent": 0.1})]).agents == ("ebpf",)
    assert of([PartEnded(order="2", at_ns=0, form="ebpf", role="agent", how="exit status 2")]).agents == ("ebpf",)
    attached = AttachEnded(order="2", at_ns=0, form="baseline", ok=True, reason="", attach_s=1.0, first_span_s=2.0)
    assert of([attached]).agents == ("baseline",)
    assert of([replace(attached, attach_s=None)]).agents == (), "it was taken away"


def test_what_ended_and_who_answered() -> None:
    answer = Answered(
        order="2",
        at_ns=0,
        form="otel",
        request="index",
        index=0,
        request_id="",
        trace_id="",
        status=200,
        ok=True,
        build_id="cc",
        start_ns=0,
        latency_ns=1,
    )
    gone = PartEnded(order="2", at_ns=0, form="ebpf", role="agent", how="killed by signal 9: agent wrote to stderr: …")
    load = PartEnded(order="2", at_ns=0, form="", role="load", how="exit status 2")
    found = of([answer, gone, load])
    assert found.builds == {"otel": ("cc",)}
    assert found.ended == ("agent of ebpf: killed by signal 9", "load: exit status 2")


@pytest.mark.parametrize("clock", ["real", "counted"])
def test_a_machine_that_is_behind_by_the_age_of_its_snapshot_is_as_it_was_rehearsed(
    tmp_path: Path, clock: Literal["real", "counted"]
) -> None:
    """Rehearsed minutes after the snapshot was taken, shown a day after it: what is a constant hides no cause."""
    show, found = a_show(tmp_path), []
    for behind_s in (60, 24 * 3600):
        scene = Scene(lab=a_lab(tmp_path), cast=Cast(clock=clock), asked=show.asked, budget_s=9.0, sink=lambda _: None)
        at_ns = time.time_ns() - behind_s * 10**9
        scene.hear(replace(script.ended(), at_ns=at_ns))
        scene.hear(replace(MACHINE, at_ns=at_ns, wall_ns=at_ns))
        found.append(scene.signals())
    assert found[0] == found[1]
