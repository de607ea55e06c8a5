"""What each kind of beat makes of the machine's answers."""

from __future__ import annotations

import dataclasses
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire.live import FormWindow, LiveEvent, PartEnded
from lab.model.errors import DemoError
from lab.stage.beat.expect import InRange, Inside, Spans, Text
from lab.stage.beat.host_use import HostUse
from lab.stage.beat.scene import Scene
from lab.stage.kinds.command import CommandBeat
from lab.stage.kinds.load import LoadBeat
from lab.stage.kinds.request import RequestBeat
from lab.stage.kinds.shell import ShellBeat
from lab.stage.stream import events
from lab.stage.stream.events import StageEvent
from tests.unit.stage import orders_script as script
from tests.unit.stage.one_beat import play
from tests.unit.stage.orders_script import HEAD, Forms
from tests.unit.stage.scripted import Cast, a_lab, a_show

FORMS = ("baseline", "ebpf")


def a_request(*, ebpf_ok: bool = True) -> list[LiveEvent]:
    return [
        script.accepted(),
        script.answered("baseline"),
        script.request_ended("baseline", seen=0),
        script.answered("ebpf"),
        script.span("ebpf"),
        script.request_ended("ebpf", ok=ebpf_ok, node_of={"ebpf-GET /venues": "gateway"}),
        script.ended("done" if ebpf_ok else "failed"),
    ]


def test_a_request_shows_its_spans_as_they_arrive(tmp_path: Path) -> None:
    forms = Forms({"request": a_request()})
    played = play(tmp_path, RequestBeat(forms=FORMS), forms)
    sent = played.of(events.RequestSent)
    assert [one.form for one in sent] == ["baseline", "ebpf"]
    assert sent[0].wanted == (events.WantedSpan(name="GET /venues", kind="http server", depth=0),)
    span = played.of(events.SpanArrived)[0]
    assert (span.start_ms, span.duration_ms, span.row) == (1.0, 3.0, 0)
    assert played.of(events.RequestDone)[1].rows == {"ebpf-GET /venues": 0}
    assert played.of(events.RequestAnswered)[0].latency_ms == 5.0
    assert Spans(spans="ebpf", whole=True).missed(played.scene.seen) == ""
    assert "no span POST" in Spans(spans="ebpf", names=("POST",)).missed(played.scene.seen)
    assert "gave 0 spans, not at least 1" in Spans(spans="baseline").missed(played.scene.seen)
    assert forms.asked[0][1]["limit_s"] == 10.0


def test_the_names_of_spans_are_those_of_each_request(tmp_path: Path) -> None:
    second = [event for event in a_request() if event != script.span("ebpf")]
    forms = Forms()
    answers = iter([a_request(), second, a_request()])
    forms.request = lambda *_, **__: iter(next(answers))  # type: ignore[method-assign]
    played = play(tmp_path, RequestBeat(forms=FORMS, times=3), forms)
    missed = Spans(spans="ebpf", names=("GET /venues",)).missed(played.scene.seen)
    assert missed == "request 1 in ebpf gave no span GET /venues"


def test_what_must_be_seen_of_spans_the_show_file_says(tmp_path: Path) -> None:
    played = play(tmp_path, RequestBeat(forms=FORMS), Forms({"request": a_request(ebpf_ok=False)}))
    assert Spans(spans="ebpf").missed(played.scene.seen) == ""
    assert "not every span came" in Spans(spans="ebpf", whole=True).missed(played.scene.seen)


def test_a_request_that_a_service_does_not_answer_fails(tmp_path: Path) -> None:
    answers: list[LiveEvent] = [
        script.answered("baseline", status=0),
        script.request_ended("baseline", ok=False),
        script.ended("failed"),
    ]
    with pytest.raises(DemoError, match="baseline: venues was not answered: the connection failed"):
        play(tmp_path, RequestBeat(forms=FORMS), Forms({"request": answers}))


def test_several_requests_are_other_ones(tmp_path: Path) -> None:
    forms = Forms({"request": a_request()})
    play(tmp_path, RequestBeat(forms=FORMS, times=3), forms)
    assert [fields["index"] for _, fields in forms.asked] == [0, 1, 2]


def a_window(done: int = 2) -> FormWindow:
    return FormWindow(
        **HEAD, form="ebpf", window=0, seconds=0.5, draining=False, sent=2, done=done, errors=0, late=1, in_flight=0,
        p50_ns=3_000_000, p99_ns=None, cpu_s={"service": 0.01, "agent": 0.004}, rss_mib={}, total_done=2,
        spans_wanted=2, spans_expected=2, spans_seen=1,
    )  # fmt: skip


def a_load() -> list[LiveEvent]:
    return [a_window(), script.load_ended("baseline"), script.load_ended("ebpf", cpu_s=0.6), script.ended()]


def test_a_duet_ticks_and_compares(tmp_path: Path) -> None:
    forms = Forms({"load": a_load()})
    played = play(tmp_path, LoadBeat(forms=FORMS, load_s=5.0), forms)
    window = played.of(events.Window)[0]
    assert (window.rate_rps, window.p50_ms, window.cpu_ms) == (4.0, 3.0, {"service": 5.0, "agent": 2.0})
    cpu = {one.form: one for one in played.of(events.Value) if one.name == "cpu_per_request"}
    assert (cpu["baseline"].value, cpu["ebpf"].value, cpu["ebpf"].ratio) == pytest.approx((10.0, 15.0, 1.5))
    seen = played.scene.seen
    assert InRange(value="cpu_per_request", form="ebpf", at_most=2, ratio=True).missed(seen) == ""
    assert "15" in InRange(value="cpu_per_request", form="ebpf", at_most=12).missed(seen)
    assert "has no ratio" in InRange(value="cpu_per_request", form="baseline", at_most=2, ratio=True).missed(seen)
    assert InRange(value="cpu_per_request", at_most=2, ratio=True).missed(seen) == ""  # baseline has no ratio
    assert "not at most 1.1" in InRange(value="cpu_per_request", at_most=1.1, ratio=True).missed(seen)
    assert "no value rate" in InRange(value="rate", at_most=2).missed(seen)
    rate = a_show(tmp_path).asked.scenario.rate_rps["emulated"] / 2  # shared
    assert forms.asked == [("load", {"forms": FORMS, "rate_rps": rate, "seconds": 5.0, "requests": None, "seed": 1})]


def test_work_before_an_answer_is_part_of_what_requests_cost(tmp_path: Path) -> None:
    forms = Forms({"load": [a_window(done=0), a_window(done=4), script.ended()]})
    windows = play(tmp_path, LoadBeat(forms=FORMS), forms).of(events.Window)
    assert [one.cpu_ms for one in windows] == [{}, {"service": 5.0, "agent": 2.0}]


def test_requests_that_failed_are_counted_since_the_beats_start(tmp_path: Path) -> None:
    some = [dataclasses.replace(a_window(done=4), errors=errors) for errors in (3, 0, 2)]
    windows = play(tmp_path, LoadBeat(forms=FORMS), Forms({"load": [*some, script.ended()]})).of(events.Window)
    assert [(one.done, one.errors) for one in windows] == [(4, 3), (8, 3), (12, 5)]


def test_on_a_counted_clock_requests_are_counted(tmp_path: Path) -> None:
    forms = Forms({"load": a_load()}, clock="counted")
    play(tmp_path, LoadBeat(forms=FORMS, requests=80), forms, clock="counted")
    rate = a_show(tmp_path).asked.scenario.counted.rate_rps / 2
    assert forms.asked[0][1] == {"forms": FORMS, "rate_rps": rate, "seconds": None, "requests": 80, "seed": 1}


def test_a_counted_duet_speaks_of_instructions_and_judges_no_time(tmp_path: Path) -> None:
    played = play(tmp_path, LoadBeat(forms=FORMS), Forms({"load": a_load()}, clock="counted"), clock="counted")
    window = played.of(events.Window)[0]
    assert (window.cpu_ms, window.instructions, window.done) == ({}, {"service": 2.5, "agent": 1.0}, 2)
    cost = {one.form: one for one in played.of(events.Value) if one.name == "cpu_per_request"}
    assert (cost["baseline"].value, cost["ebpf"].value, cost["ebpf"].ratio) == pytest.approx((5.0, 7.5, 1.5))
    assert {(one.title, one.unit) for one in cost.values()} == {("instructions per request", "million")}
    latency = [one for one in played.of(events.Value) if one.name == "latency_p50"]
    assert {(one.unit, one.ratio) for one in latency} == {("simulated ms", None)}
    times = {one.unit for one in played.of(events.Value) if one.unit.endswith(("ms", " s"))}
    assert times == {"simulated ms"}
    assert played.scene.signals().host_others is None, "a busy host does not change a count"


def test_an_agent_that_is_killed_in_a_duet_is_named(tmp_path: Path) -> None:
    died = PartEnded(**HEAD, form="ebpf", role="agent", how="killed by signal 9")
    forms = Forms({"load": [died, script.load_ended("ebpf", ok=False), script.ended("failed", "not every form")]})
    heard: list[StageEvent] = []
    with pytest.raises(
        DemoError, match="the agent of ebpf ended by itself: killed by signal 9; ebpf: the service ended"
    ):
        play(tmp_path, LoadBeat(forms=FORMS), forms, heard=heard)
    assert "cpu_per_request" in [one.name for one in heard if isinstance(one, events.Value)], "a cause rests on values"


def test_a_command_of_this_host(tmp_path: Path) -> None:
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", "print('five\\nsix')")))
    assert [line.text for line in played.of(events.Line)] == ["five", "six"]
    assert Text(text="^s.x$").missed(played.scene.seen) == ""
    assert Text(text="five\nsix").missed(played.scene.seen) == ""


def test_a_busy_host_explains_a_slow_command_of_a_counted_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([HostUse(total_s=10.0, busy_s=5.0, own_s={}), HostUse(total_s=20.0, busy_s=14.0, own_s={})])
    monkeypatch.setattr(HostUse, "now", staticmethod(lambda _: next(seen)))
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", "")), clock="counted")
    assert played.scene.signals().host_others == pytest.approx(0.9)


def test_every_line_of_a_command_is_looked_at(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", "print(*range(500), sep=chr(10))")
    played = play(tmp_path, CommandBeat(argv=argv))
    assert Text(text="^450$").missed(played.scene.seen) == ""
    assert len(played.of(events.Line)) == 400


def test_a_command_with_another_exit_code(tmp_path: Path) -> None:
    ends = (sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(DemoError, match="exit code 3, not 0"):
        play(tmp_path, CommandBeat(argv=ends))
    play(tmp_path, CommandBeat(argv=ends, exit_code=3))


def test_inside_the_rehearsed_interval(tmp_path: Path) -> None:
    seen = play(tmp_path, LoadBeat(forms=FORMS), Forms({"load": a_load()})).scene.seen
    seen.values = [dataclasses.replace(one, judged="on") for one in seen.values]
    assert Inside(values=("cpu_per_request",)).missed(seen) == ""
    seen.values[-1] = dataclasses.replace(seen.values[-1], judged="off", low=1.0, high=2.0)
    assert "rehearsed 1.00 to 2.00" in Inside().missed(seen)
    assert "no value rate" in Inside(values=("rate",)).missed(seen)


@pytest.mark.parametrize(("second_s", "word"), [(0.4, "on"), (0.8, "off")])
def test_a_value_that_is_off_is_measured_once_more(tmp_path: Path, second_s: float, word: str) -> None:
    def judged(event: StageEvent, first: Any) -> StageEvent:
        if not isinstance(event, events.Value) or event.judged:
            return event
        twice = [event.value, *(one.value for key, one in first.items() if key == (event.name, event.form))]
        return dataclasses.replace(event, judged="off" if event.unit == "ms" and min(twice) > 15 else "on")

    loads: list[list[LiveEvent]] = [
        [script.load_ended("ebpf", cpu_s=cpu_s), script.ended()] for cpu_s in (0.8, second_s)
    ]
    heard: list[StageEvent] = []
    scene = Scene(
        lab=dataclasses.replace(a_lab(tmp_path), cancel=threading.Event()),
        cast=Cast(forms=Turns(loads=loads)),
        asked=a_show(tmp_path).asked,
        budget_s=20.0,
        sink=heard.append,
        judged=judged,
        doubt=lambda values: next((one for one in values if one.unit == "ms" and one.value > 15), None),
    )
    LoadBeat(forms=("ebpf",)).play(scene)
    told = [one for one in heard if isinstance(one, events.Value) and one.name == "cpu_per_request"]
    assert [one.judged for one in told] == ["a bit off", word]
    assert [one.text for one in heard if isinstance(one, events.Remark)] == [
        "CPU per request of ebpf is not as rehearsed: measured once more, to tell noise from a change"
    ]
    assert len(scene.told) == 2, "the cause is looked for in the second window"


@dataclasses.dataclass
class Turns(Forms):
    loads: list[list[LiveEvent]] = dataclasses.field(default_factory=list)

    def load(self, forms: Any = (), **more: Any) -> Any:
        return iter(self.loads.pop(0))


def test_a_shell_gets_the_terminal(tmp_path: Path) -> None:
    given: list[list[str]] = []
    lab = a_lab(tmp_path)
    scene = Scene(
        lab=lab, cast=Cast(), asked=a_show(tmp_path).asked, budget_s=1.0, sink=lambda _: None, shell=given.append
    )
    ShellBeat(on="host").play(scene)
    assert len(given) == 1
