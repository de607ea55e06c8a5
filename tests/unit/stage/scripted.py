"""A stage without a machine: beats that do what a test says, and a cast that keeps count."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from lab.model import live
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.paths import Paths
from lab.stage.beat.cast import Alive
from lab.stage.beat.expect import Expect
from lab.stage.beat.scene import Scene
from lab.stage.history.inputs import Inputs
from lab.stage.history.takes import Take
from lab.stage.kinds.kind import Kind
from lab.stage.play.engine import Engine
from lab.stage.play.stand import Side, Stand
from lab.stage.show import show_file
from lab.stage.show.show import Beat, BeatKeys, Show
from lab.stage.stream.events import Line, StageEvent
from lab.stage.stream.records import StageRecord
from lab.system.wait import Deadline
from tests.unit.stage.orders_script import Forms

SHOW = """
schema: 1
title: Scripted
forms: [baseline, ebpf]
beats:
  - {id: only, kind: slide, title: Only, markdown: hello}
"""


@dataclass(frozen=True, kw_only=True)
class Scripted(Kind):
    """A beat that calls a function of the test."""

    do: Callable[[Scene], Any] = lambda _: None

    def play(self, scene: Scene) -> None:
        self.do(scene)


@dataclass
class Cast:
    """A machine in memory."""

    machine: str = "one"
    clock: Literal["real", "counted"] = "real"
    emulated: bool = True
    forms: Forms = field(default_factory=Forms)
    state: Alive = "up"
    attached: set[str] = field(default_factory=set)
    restored: int = 0
    settled: int = 0
    closed: int = 0
    on_restore: Callable[[Deadline], None] = lambda _: None

    @property
    def live(self) -> live.Cast:
        return self.forms

    def turn(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def settle(self, deadline: Deadline) -> None:
        self.settled += 1

    def alive(self) -> Alive:
        return self.state

    def restore(self, deadline: Deadline) -> str:
        self.restored += 1
        self.on_restore(deadline)
        return "restored"

    def close(self) -> None:
        self.closed += 1


def a_show(folder: Path) -> Show:
    path = folder / "scripted.yaml"
    path.write_text(SHOW)
    return show_file.load(path)


def a_beat(name: str, do: Callable[[Scene], Any], *, expect: tuple[Expect, ...] = (), **keys: Any) -> Beat:
    all_keys: dict[str, Any] = {"id": name, "title": name.title(), "kind": "command", "budget_s": 10.0} | keys
    return Beat(keys=BeatKeys(**all_keys), does=Scripted(do=do), expect=expect)


@dataclass
class Run:
    """An engine in its thread. `events`: what a view has seen."""

    engine: Engine
    cast: Cast
    events: list[StageEvent] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.engine.subscribe(self._hear)
        self._thread = threading.Thread(target=self.engine.run, daemon=True)
        self._thread.start()
        return self

    def _hear(self, record: StageRecord) -> None:
        with self._came:
            self.events.append(record.event)
            self._came.notify_all()

    def __exit__(self, *_: object) -> None:
        self.engine.act("stop")
        self.over()

    def over(self, seconds: float = 10.0) -> None:
        assert self._thread is not None
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the show goes on"

    def wait(self, kind: type[StageEvent], count: int = 1, **fields: Any) -> Any:
        """The event of that kind with these fields that came as the `count`-th."""

        def found() -> list[StageEvent]:
            return [
                event
                for event in self.events
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
            ]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) >= count, 10), (kind, fields, self.events)
            return found()[count - 1]

    def of(self, kind: type[StageEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def a_lab(folder: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=folder / "home"), bus=Bus())


def a_run(folder: Path, *beats: Beat, pace: Literal["keys", "alone"] = "keys", **stand: Any) -> Run:
    lab = a_lab(folder)
    cast: Cast = stand.pop("cast", None) or Cast()
    show = dataclasses.replace(a_show(folder), beats=beats)
    side = Side(cast=cast, **{name: stand.pop(name) for name in ("take_of", "critic") if name in stand})
    engine = Engine(stand=Stand(lab=lab, show=show, side=side, **stand), beats=beats, slot_s=60, pace=pace)
    return Run(engine, cast)


def say(text: str) -> Line:
    return Line(at_ms=0.0, text=text)


def a_take(beat: str) -> Take:
    record = StageRecord(seq=1, at_s=0.0, event=say("from the take"))
    return Take(
        show="scripted",
        beat=beat,
        machine="one",
        recorded="2026-02-01T10:00:00Z",
        inputs=Inputs(show="", seed=1),
        seconds=0.1,
        records=(record,),
    )
