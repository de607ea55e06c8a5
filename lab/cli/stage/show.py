"""`lab show`: a show on stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session
from lab.model.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from lab.model.lab import Lab
    from lab.stage.play.house import House
    from lab.stage.show.show import Show


def register(app: typer.Typer) -> None:
    """Add `show`."""

    @verb(app, "show")
    def show(
        options: Options,
        what: flags.ShowName = None,
        name: flags.At = None,
        check: Annotated[bool, typer.Option("--check", help="GO or NO-GO, in half a minute; plays nothing.")] = False,
        standby: Annotated[
            str | None, typer.Option("--standby", metavar="NAME", help="A second, rehearsed machine: key s switches.")
        ] = None,
        minutes: flags.Minutes = None,
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

        Exit code 6 when a beat did not show what it must, whether or not its take had to do.
        """
        if known or schema or reference:
            return _about(options, schema=schema, reference=reference)
        from lab.stage.play.house import House
        from lab.stage.show import show_file

        house = House(port=port, browse=browser, single=single_screen, tells=not options.json)
        wanted: dict[str, Any] = {"machine.name": name}
        with session(replace(options, quiet=True), "show", wanted) as lab:
            found = show_file.load(show_file.find(what or show_file.DEFAULT))
            if standby is not None and lab.paths.machine(standby) == lab.paths.machine(lab.config.machine.name):
                raise UsageError(f"{standby} is the machine itself", fix="name another, rehearsed one, or leave it out")
            if check:
                return _check(options, lab, found, minutes, port, standby or "")
            return _play(options, lab, found, minutes, standby or "", house)


def _check(options: Options, lab: Lab, found: Show, minutes: float | None, port: int, standby: str) -> int:
    from lab.guest.wire import encode
    from lab.stage.prepare.check import check

    verdict = check(lab, found, minutes=minutes, port=port, standby=standby)
    marks = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
    lines = []
    for point in verdict.points:
        fix = f"; fix: {point.fix}" if point.fix and point.verdict != "ok" else ""
        lines.append(f"{marks[point.verdict]}  {point.name}: {point.text}{fix}")
    beats = {"beats": list(verdict.beats), "skipped": list(verdict.skipped), "not_shown": list(verdict.unshown)}
    doc = {"command": "show", "check": verdict.word, **beats, "points": encode(verdict.points)}
    code = 4 if verdict.word == "NO-GO" else 0
    answer(options, {**doc, "fix": verdict.fix, "exit": code}, "\n".join([*lines, verdict.line()]))
    return code


def _about(options: Options, *, schema: bool, reference: bool) -> int:
    import json

    from lab.stage.show import show_file, show_schema

    if schema or reference:
        doc = show_schema.json_schema()
        answer(options, doc, json.dumps(doc, indent=1) if schema else show_schema.markdown().rstrip())
        return 0
    rows = {name: show_file.load(show_file.find(name)).keys.title for name in show_file.names()}
    answer(options, {"shows": rows}, "\n".join(f"{name}  {title}" for name, title in rows.items()))
    return 0


def _play(options: Options, lab: Lab, found: Show, minutes: float | None, standby: str, house: House) -> int:
    from lab.cli.stage.views import driven
    from lab.stage.play.opening import ShowRequest, opened

    with opened(lab, found, ShowRequest(minutes=minutes, standby=standby, fresh=True)) as engine:
        driven(options, lab, engine, house)
    if engine.cancelled:
        raise Cancelled("the show was stopped on request", fix="lab show begins it again")
    return 6 if engine.missed else 0  # a take that a key asked for is no miss
