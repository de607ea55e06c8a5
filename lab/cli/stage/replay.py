"""`lab replay`: a run, a take or a recorded show on the audience page."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import session
from lab.model.errors import Cancelled


def register(app: typer.Typer) -> None:
    """Add `replay`."""

    @verb(app, "replay")
    def replay(
        options: Options,
        what: flags.Recorded = None,
        name: flags.At = None,
        alone: Annotated[bool, typer.Option("--alone", help="Go from beat to beat without a key.")] = False,
        browser: flags.Browser = True,
        port: flags.PagePort = 0,
        single_screen: flags.SingleScreen = False,
    ) -> int:
        """Play a recording on the audience page, marked as such.

        RECORDING is a run, a show with takes (SHOW, its file, or SHOW/BEAT), or a file: a take, or what lab show --json
        printed.
        The keys are those of lab show. Needs no machine.
        """
        with session(replace(options, quiet=True), "replay", {"machine.name": name} if name else {}) as lab:
            from lab.cli.stage.views import on_stage
            from lab.stage.play.health import Pulse
            from lab.stage.play.house import Handover, House
            from lab.stage.replay import recordings
            from lab.stage.replay.playback import Playback
            from lab.stage.stream.events import Remark

            found = recordings.find(lab, what)
            played = Playback(records=found.records, day=found.day, alone=alone, cancel=lab.cancel)

            for text in found.left_out:
                played.score.add(Remark(text=text, level="warning"))

            def play(_: Handover) -> None:
                played.run()

            house = House(port=port, browse=browser, single=single_screen, tells=not options.json)
            pulse = Pulse(cast=None, home=lab.paths.home, emit=played.score.add)  # of this host, now
            on_stage(options, played, played.score.add, house, play, cancel=lab.cancel, pulse=pulse)
        if played.cancelled:
            raise Cancelled("the replay was stopped on request", fix="lab replay begins it again")
        return 0
