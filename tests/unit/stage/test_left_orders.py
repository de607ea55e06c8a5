"""An attempt that was left while it connected, or while it waited for the line, gives no order any more."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.flows import live as lines
from lab.guest.wire.live import LiveEvent
from lab.model.errors import Locked
from lab.stage.beat.machine import LiveMachine
from lab.stage.beat.scene import Scene
from lab.stage.kinds.attach import AttachBeat
from lab.stage.kinds.kind import Kind
from lab.stage.kinds.load import LoadBeat
from lab.stage.kinds.request import RequestBeat
from lab.stage.show.show import Beat, BeatKeys
from lab.stage.stream.events import BeatEnded, BeatStarted
from tests.unit.stage.orders_script import Forms, accepted, ended
from tests.unit.stage.scripted import a_lab, a_run, a_show, a_take

ORDER_S = 0.6


@dataclass
class Guest(Forms):
    """Takes one order at a time, as a standby process does."""

    runs: bool = False
    refused: int = 0

    def _give(self, kind: str, **fields: Any) -> Iterator[LiveEvent]:
        self.asked.append((kind, fields))
        if self.runs:
            self.refused += 1
            return _refused()
        self.runs = True
        return self._played(kind)

    def _played(self, kind: str) -> Iterator[LiveEvent]:
        yield accepted(kind)
        time.sleep(ORDER_S)
        self.runs = False
        yield from self.script.get(kind, [ended()])


def _refused() -> Iterator[LiveEvent]:
    yield from ()
    raise Locked("the order still runs", fix="wait")


@dataclass
class Door:
    """The connections to it: the machine is paused until `opens`, and each has its own way after that."""

    guest: Guest
    after_s: tuple[float, ...]
    opens: threading.Event = field(default_factory=threading.Event)
    begun: int = 0

    @contextlib.contextmanager
    def opened(self, *_: Any) -> Iterator[Guest]:
        late_s = self.after_s[min(self.begun, len(self.after_s) - 1)]
        self.begun += 1
        self.opens.wait(10)
        time.sleep(late_s)
        yield self.guest


@pytest.mark.parametrize("after_s", [(0.0, 0.2), (0.2, 0.0)], ids=["the left one first", "the left one last"])
@pytest.mark.parametrize(
    "does",
    [
        LoadBeat(forms=("baseline", "ebpf"), load_s=2.0),
        RequestBeat(forms=("baseline",)),
        AttachBeat(form="baseline", agent_of="ebpf", keep=True),
    ],
    ids=lambda does: type(does).__name__,
)
def test_an_attempt_that_was_left_while_it_connected_gives_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: Kind, after_s: tuple[float, float]
) -> None:
    door = Door(Guest(requests=tuple(a_show(tmp_path).asked.service.reference)), after_s)
    monkeypatch.setattr(lines, "opened", door.opened)
    monkeypatch.setattr(Scene, "watch", lambda _: None)
    for name, value in (("emulated", False), ("clock", "real")):
        monkeypatch.setattr(LiveMachine, name, value)
    cast: Any = LiveMachine(lab=a_lab(tmp_path), machine="m", asked=a_show(tmp_path).asked)
    beat = Beat(keys=BeatKeys(id="it", title="It", kind="load", budget_s=8.0, else_="take", again=True), does=does)
    with a_run(tmp_path, beat, cast=cast, take_of=lambda beat: a_take(beat.id)) as run:
        run.wait(BeatStarted)
        while door.begun < 1:
            time.sleep(0.01)
        run.engine.act("retry")
        run.wait(BeatStarted, count=2)
        while door.begun < 2:
            time.sleep(0.01)
        door.opens.set()
        run.wait(BeatEnded, count=2)
        time.sleep(0.4)
        assert (len(door.guest.asked), door.guest.refused) == (1, 0)
        assert not any("still runs" in event.reason for event in run.of(BeatEnded))
        assert door.begun == 2, "the line that both share is kept"
