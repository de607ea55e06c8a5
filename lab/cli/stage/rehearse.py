"""`lab rehearse`: a show played as on stage until it is stage-ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session

if TYPE_CHECKING:
    from lab.model.lab import Lab
    from lab.stage.play.engine import Engine
    from lab.stage.play.house import House
    from lab.stage.prepare.rehearsing import Perform, Rehearsed

RUNS = 5


def register(app: typer.Typer) -> None:
    """Add `rehearse`."""

    @verb(app, "rehearse", takes=flags.MACHINE)
    def rehearse(
        options: Options,
        wanted: dict[str, Any],
        what: flags.ShowName = None,
        name: flags.At = None,
        runs: Annotated[int, typer.Option("-n", "--runs", help="How many times.", min=1, max=100)] = RUNS,
        keys: Annotated[bool, typer.Option("--keys", help="Wait for your keys, at your pace.")] = False,
        minutes: flags.Minutes = None,
        browser: flags.BrowserIfAsked = None,
        port: flags.PagePort = 0,
        single_screen: flags.SingleScreen = False,
    ) -> int:
        """Play a show as on stage, and record it.

        Makes the machine, the forms on standby and their snapshot where they are missing. Each beat leaves a take. In
        the first run every fallback is played once, in the last the network is cut. Prints what is still missing for
        stage-ready. Exit code 6 when a rehearsal of this command was not clean.

        Without --keys it goes on by itself, as lines: there is no screen in the terminal, and neither the audience page
        nor the health of this host, unless --browser or --port asks for the page.
        """
        from lab.stage.play.house import House
        from lab.stage.show import show_file

        house = House(
            port=port, browse=keys if browser is None else browser, single=single_screen, tells=not options.json
        )
        with session(options, "rehearse", {"machine.name": name, **wanted}) as lab:
            from lab.stage.play.opening import ShowRequest
            from lab.stage.prepare.rehearsing import rehearse as flow

            found = show_file.load(show_file.find(what or show_file.DEFAULT))
            asked = ShowRequest(minutes=minutes, source="rehearsal", pace="keys" if keys else "alone")
            performs = _with_keys if keys else _alone
            done = flow(lab, found, asked, runs, performs(options, lab, house))
        code = 0 if all(one.clean for one in done.runs) else 6
        result_line(options, _doc(done, code), _text(done))
        return code


def _alone(options: Options, lab: Lab, house: House) -> Perform:
    def perform(engine: Engine) -> None:
        from lab.cli.stage.views import unattended

        unattended(options, lab, engine, house)

    return perform


def _with_keys(options: Options, lab: Lab, house: House) -> Perform:
    def perform(engine: Engine) -> None:
        from lab.cli.stage.views import driven

        driven(options, lab, engine, house)

    return perform


def _doc(done: Rehearsed, code: int) -> dict[str, Any]:
    return {
        "command": "rehearse",
        "exit": code,
        "runs": [
            {
                "id": one.id,
                "clean": one.clean,
                "seconds": one.seconds,
                "network_cut": one.network_cut,
                "slept_s": one.slept_s,
            }
            for one in done.runs
        ],
        "stage_ready": not done.missing,
        "missing": list(done.missing),
        "directory": str(done.place),
    }


def _text(done: Rehearsed) -> str:
    clean = sum(one.clean for one in done.runs)
    lines = [f"{clean} of {len(done.runs)} rehearsals were clean; takes and ledger: {done.place}"]
    if not done.missing:
        return "\n".join([*lines, "stage-ready"])
    return "\n".join([*lines, "not stage-ready yet:", *(f"  {one}" for one in done.missing)])
