"""`lab show`: a show on stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session

if TYPE_CHECKING:
    from lab.model.lab import Lab
    from lab.stage.engine import Engine
    from lab.stage.house import House
    from lab.stage.show import Show

ShowName = Annotated[
    str | None, typer.Argument(metavar="SHOW", help="Name of a show, or path of a show file (default: four-pillars).")
]


def register(app: typer.Typer) -> None:
    """Add `show`."""

    @verb(app, "show")
    def show(
        options: Options,
        what: ShowName = None,
        name: flags.At = None,
        minutes: Annotated[
            float | None, typer.Option("--minutes", help="Shorter slot: one of the show's cuts.", min=0.1)
        ] = None,
        browser: flags.Browser = True,
        port: flags.PagePort = 0,
        single_screen: flags.SingleScreen = False,
        known: Annotated[bool, typer.Option("--list", help="List the shows that ship with lab.")] = False,
        schema: Annotated[bool, typer.Option("--schema", help="JSON Schema of a show file, for editors.")] = False,
        reference: Annotated[bool, typer.Option("--reference", help="Reference of the show file.")] = False,
    ) -> int:
        """Drive a show on stage with one key or a clicker.

        Keys: space, Enter, arrows or Page Down: next; Page Up: back; r: retry; t: take; k: skip; p: panic (restore the
        machine); s: second machine; b: curtain; !: shell; q: stop; a number: jump to that beat.
        """
        if known or schema or reference:
            return _about(options, schema=schema, reference=reference)
        from lab.stage import show_file
        from lab.stage.house import House

        house = House(port=port, browse=browser, single=single_screen)
        wanted: dict[str, Any] = {"machine.name": name}
        with session(replace(options, quiet=True), "show", wanted) as lab:
            found = show_file.load(show_file.find(what or show_file.DEFAULT))
            return _play(options, lab, found, minutes, house)


def _about(options: Options, *, schema: bool, reference: bool) -> int:
    import json

    from lab.stage import show_file, show_schema

    if schema or reference:
        doc = show_schema.json_schema()
        answer(options, doc, json.dumps(doc, indent=1) if schema else show_schema.markdown().rstrip())
        return 0
    rows = {name: show_file.load(show_file.find(name)).keys.title for name in show_file.names()}
    answer(options, {"shows": rows}, "\n".join(f"{name}  {title}" for name, title in rows.items()))
    return 0


def _play(options: Options, lab: Lab, found: Show, minutes: float | None, house: House) -> int:
    from lab.cli.stage_views import on_stage
    from lab.stage.health import Pulse
    from lab.stage.house import Handover
    from lab.stage.opening import opened

    with opened(lab, found, minutes=minutes) as engine:

        def play(handover: Handover) -> None:
            engine.stand.suspended = handover
            engine.run()

        pulse = Pulse(cast=lambda: engine.stand.cast, home=lab.paths.home, emit=engine.emit)
        on_stage(options, engine, engine.emit, house, play, cancel=lab.cancel, pulse=pulse)
    return _code(engine)


def _code(engine: Engine) -> int:
    """6 when a beat did not show what it must, and its take had to do or was not there."""
    return 6 if any(outcome in ("missed", "failed") for outcome in engine.outcomes.values()) else 0
