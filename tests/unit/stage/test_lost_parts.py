"""A beat that lost a process of a form."""

from __future__ import annotations

from pathlib import Path

from lab.guest.wire.live import PartEnded
from lab.model.errors import DemoError
from lab.stage.beat.scene import Scene
from tests.unit.stage.scripted import a_beat, a_run, a_take
from tests.unit.stage.test_engine import outcomes


def test_a_beat_whose_agent_died_is_not_tried_again(tmp_path: Path) -> None:
    """A second attempt would have it no more, and takes as long."""

    def loses_its_agent(scene: Scene) -> None:
        scene.told.append(PartEnded(order="1", at_ns=0, form="ebpf", role="agent", how="killed by signal 9"))
        raise DemoError("the agent of ebpf ended by itself", fix="press p")

    beats = [a_beat("one", loses_its_agent, else_="retry"), a_beat("two", lambda _: None)]
    with a_run(tmp_path, *beats, pace="alone", take_of=lambda beat: a_take(beat.id)) as run:
        run.over()
    assert outcomes(run.events) == ["failed", "recorded", "passed"]
