"""`lab logs`: the ends of the machine's console and of the newest logs."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `logs`."""

    @verb(app, "logs")
    def logs(
        options: Options,
        name: flags.Name = None,
        lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines to show of each log.")] = 40,
    ) -> int:
        """Show the ends of the machine's console and of the newest logs. With service logs of an interrupted run."""
        with session(options, "logs", {"machine.name": name}) as lab:
            from lab.flows.logs import tails
            from lab.machines import lifecycle

            if name is not None:  # else the logs of the newest commands are shown
                lifecycle.known(lab, name)
            lifecycle.tell_hang(lab, lab.config.machine.name)
            found = tails(lab, lab.config.machine.name, lines)
        text = "\n".join(f"==> {path}\n{tail}" for path, tail in found.items()) or "no logs yet"
        answer(options, {"logs": found}, text)
        return 0
