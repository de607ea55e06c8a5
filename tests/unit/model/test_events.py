"""Events: every kind survives its JSON; a step ends once, whatever happens in it; replay draws the same."""

from __future__ import annotations

import io
import re
import typing

import pytest

from lab.model import events
from lab.model.errors import Cancelled, LabError, PreconditionError
from lab.model.events import Bus, GuestEvent, Notice, Progress, Record, StepFinished, StepStarted
from lab.render.plain import Plain

SAMPLES: dict[str, events.Event] = {
    "StepStarted": StepStarted(name="up", title="machine", index=1, of=3),
    "StepFinished": StepFinished(name="up", outcome="done", seconds=1.5),
    "Progress": Progress(name="up", done=5, total=None, unit="bytes"),
    "Output": events.Output(text="ünï <b>"),
    "Notice": Notice(level="warning", text="x"),
    "CheckDone": events.CheckDone(name="kvm", verdict="warn", message="m", fix="f"),
    "GuestEvent": GuestEvent(kind="cell", at_ns=1, data={"id": "01-a-one", "valid": True}),
}


def test_there_is_a_sample_of_each_kind() -> None:
    assert {cls.__name__ for cls in typing.get_args(events.Event)} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_records_survive_json(name: str) -> None:
    record = Record(seq=1, at=2.0, step=3, parent=4, event=SAMPLES[name])
    assert Record.from_json(record.to_json()) == record


def collect(bus: Bus) -> list[Record]:
    seen: list[Record] = []
    bus.add(seen.append)
    return seen


def test_the_innermost_failed_step_tells_message_and_fix() -> None:
    bus = Bus()
    seen = collect(bus)
    with pytest.raises(PreconditionError), bus.step("outer", "outer"), bus.step("inner", "inner"):
        raise PreconditionError("no qemu", fix="install it")
    ends = [r.event for r in seen if isinstance(r.event, StepFinished)]
    assert [(e.name, e.outcome, e.message, e.fix) for e in ends] == [
        ("inner", "failed", "no qemu", "install it"),
        ("outer", "failed", "", ""),
    ]


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt()])
def test_a_stop_is_interrupted_not_failed(error: BaseException) -> None:
    bus = Bus()
    seen = collect(bus)
    with pytest.raises(type(error)), bus.step("a", "a"):
        raise error
    assert isinstance(seen[-1].event, StepFinished)
    assert seen[-1].event.outcome == "interrupted"


def test_steps_nest_by_parent() -> None:
    bus = Bus()
    seen = collect(bus)
    with bus.step("a", "a"), bus.step("b", "b") as step:
        step.skip("already")
    assert [(r.step, r.parent) for r in seen] == [(1, 0), (2, 1), (2, 1), (1, 0)]
    assert [r.seq for r in seen] == [1, 2, 3, 4]


def everything(bus: Bus) -> None:
    with bus.step("up", "machine", index=1, of=2):
        for event in SAMPLES.values():
            if not isinstance(event, (StepStarted, StepFinished)):
                bus.emit(event)
        raise PreconditionError("x", fix="y")


def test_a_replayed_log_draws_the_same_text() -> None:
    bus = Bus()
    seen = collect(bus)
    live, again = io.StringIO(), io.StringIO()
    bus.add(Plain(stream=live))
    with pytest.raises(PreconditionError):
        everything(bus)
    replay = Plain(stream=again)
    for record in seen:
        replay(Record.from_json(record.to_json()))

    def text(stream: io.StringIO) -> str:
        return re.sub(r"^\[ *[\d.]+s\]", "", stream.getvalue(), flags=re.MULTILINE)

    assert text(live) == text(again)
    assert "machine: FAILED" in text(live)
    assert "fix: f" in text(live)


def test_exit_codes_are_unique_and_fixes_required() -> None:
    kinds = [cls for cls in LabError.__subclasses__() if cls.__module__ == LabError.__module__]
    codes = [cls.exit_code for cls in kinds]
    assert len(set(codes)) == len(codes)
    assert {2, 3, 4, 5, 6, 7, 8, 9, 75, 130} == set(codes)
    for cls in kinds:
        if cls is not Cancelled:
            with pytest.raises(TypeError):
                cls("message")  # type: ignore[call-arg]  # the point: a fix is required
