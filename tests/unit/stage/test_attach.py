"""An agent attached in a beat, and that none is left where the beat does not end well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.guest.wire.live import AttachEnded, LiveEvent
from lab.model.errors import DemoError
from lab.stage.kinds.attach import AttachBeat
from lab.stage.stream import events
from tests.unit.stage import orders_script as script
from tests.unit.stage.one_beat import play
from tests.unit.stage.orders_script import HEAD, Forms
from tests.unit.stage.scripted import Cast


def test_an_attached_agent_and_its_first_span(tmp_path: Path) -> None:
    forms = Forms({"attach": script.attached()})
    played = play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf"), forms)
    assert [one.first_span_s for one in played.of(events.AgentAttached)] == [None, 0.75]
    assert {one.name: one.value for one in played.of(events.Value)} == {"attach_s": 2.5, "first_span_s": 0.75}
    assert [kind for kind, _ in forms.asked] == ["attach", "detach"]


def test_on_a_counted_clock_the_time_to_attach_is_simulated(tmp_path: Path) -> None:
    forms = Forms({"attach": script.attached()}, clock="counted")
    played = play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf"), forms, clock="counted")
    assert [one.unit for one in played.of(events.Value)] == ["simulated s", "simulated s"]


def test_an_agent_that_stays(tmp_path: Path) -> None:
    forms = Forms({"attach": script.attached()})
    play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf", keep=True), forms)
    assert [kind for kind, _ in forms.asked] == ["attach"]


@pytest.mark.parametrize(
    "answers",
    [
        [
            *script.attached()[:2],
            AttachEnded(**HEAD, form="baseline", ok=False, reason="no span arrived", attach_s=2.5, first_span_s=None),
            script.ended("failed", "no span arrived"),
        ],
        [*script.attached()[:2], script.ended("stopped", "no span arrived")],
    ],
)
def test_an_agent_that_gave_no_span_is_taken_away(tmp_path: Path, answers: list[LiveEvent]) -> None:
    forms = Forms({"attach": answers})
    with pytest.raises(DemoError, match="no span arrived"):
        play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf"), forms)
    assert [kind for kind, _ in forms.asked] == ["attach", "detach"]


class Lost(list[LiveEvent]):
    """Answers of a line that is lost behind them."""

    def __iter__(self) -> Iterator[LiveEvent]:
        yield from super().__iter__()
        raise DemoError("the standby process does not answer", fix="lab restore")


def test_an_agent_of_a_line_that_was_lost_is_left_to_the_next_order(tmp_path: Path) -> None:
    cast = Cast(forms=Forms({"attach": Lost(script.attached()[:2])}))
    with pytest.raises(DemoError, match="the standby process does not answer"):
        play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf"), cast.forms, attached=cast.attached)
    assert cast.attached == {"baseline"}
    assert [kind for kind, _ in cast.forms.asked] == ["attach"]


def test_an_agent_that_does_not_attach(tmp_path: Path) -> None:
    forms = Forms({"attach": [script.ended("failed", "the agent was not ready in 60 s")]})
    with pytest.raises(DemoError, match="was not ready"):
        play(tmp_path, AttachBeat(form="baseline", agent_of="ebpf"), forms)
