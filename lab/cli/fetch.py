"""`lab fetch`: bring a run home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session


def register(app: typer.Typer) -> None:
    """Add `fetch`."""

    @verb(app, "fetch")
    def fetch(
        options: Options,
        run: flags.Run = None,
        name: flags.At = None,
        to: Annotated[Path | None, typer.Option("--to", help="Also copy the whole run there.")] = None,
    ) -> int:
        """Finish bringing a cut run home, or copy a whole one. Resumed, and verified by digest; --to copies."""
        with session(options, "fetch", {"machine.name": name}) as lab:
            from lab.flows.fetch import fetch as flow

            folder = flow(lab, run, to)
        doc = {"command": "fetch", "exit": 0, "run_id": folder.name, "run_dir": str(folder)}
        result_line(options, doc, str(folder))
        return 0
