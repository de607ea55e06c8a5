"""The views of a show around whatever plays it: the audience page, and the speaker's terminal or plain lines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final

from lab.cli.options import Options
from lab.cli.stage.plain import Lines, keyboard
from lab.model.lab import Lab
from lab.stage.play import house
from lab.stage.play.engine import Engine
from lab.stage.play.health import Pulse
from lab.stage.stream.events import Remark, StageEvent
from lab.stage.stream.records import Stage

PAGE_S: Final = 10.0  # a browser has opened the page by then


def on_stage(
    options: Options,
    stage: Stage,
    emit: Callable[[StageEvent], object],
    asked: house.House,
    play: Callable[[house.Handover], object],
    *,
    cancel: threading.Event,
    pulse: Pulse,
) -> None:
    """Run `play` with both views on it. Without a terminal, or with --plain or --json, events are lines."""
    with house.opened(stage, emit, asked, pulse=pulse) as page:
        if not options.json and not options.plain and _terminal():
            house.perform(stage, page, asked, play, cancel=cancel)
            return
        _as_lines(options, stage, single=asked.single)
        if not asked.browse:
            emit(Remark(text=f"the page is {page.address}"))
        with keyboard(stage.act, lambda: page.views, PAGE_S if asked.browse else 0.0):
            play(lambda _: None)


def driven(options: Options, lab: Lab, engine: Engine, asked: house.House) -> None:
    """Run an engine with both views on it."""

    def play(handover: house.Handover) -> None:
        engine.stand.suspended = handover
        engine.run()

    on_stage(options, engine, engine.emit, asked, play, cancel=lab.cancel, pulse=_pulse(lab, engine))


def unattended(options: Options, lab: Lab, engine: Engine, asked: house.House) -> None:
    """Run an engine that waits for no key: its events are lines. A port or a browser of its own gives it the page."""
    _as_lines(options, engine, single=asked.single)
    if not asked.port and not asked.browse:
        engine.run()
        return
    with house.opened(engine, engine.emit, asked, pulse=_pulse(lab, engine)) as page:
        if not asked.browse:
            engine.emit(Remark(text=f"the page is {page.address}"))
        engine.run()


def _as_lines(options: Options, stage: Stage, *, single: bool) -> None:
    stage.subscribe(Lines(as_json=options.json, private=not single))


def _pulse(lab: Lab, engine: Engine) -> Pulse:
    stand = engine.stand
    return Pulse(
        cast=(lambda: stand.cast) if any(beat.needs_machine for beat in engine.beats) else None,
        home=lab.paths.home,
        emit=engine.emit,
        other=lambda: stand.other_name,
    )


def _terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
