"""`lab logs`: the machine's console and the guest half's last words."""

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
        lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of each.")] = 40,
    ) -> int:
        """The ends of the machine's console and of the newest logs. A cut run's service logs are among them."""
        with session(options, "logs", {"machine.name": name}) as lab:
            from lab.flows.logs import tails
            from lab.machines import lifecycle

            if name is not None:  # else the newest commands are what was asked for
                lifecycle.known(lab, name)
            lifecycle.tell_hang(lab, lab.config.machine.name)
            found = tails(lab, lab.config.machine.name, lines)
        text = "\n".join(f"==> {path}\n{tail}" for path, tail in found.items()) or "no logs yet"
        answer(options, {"logs": found}, text)
        return 0
