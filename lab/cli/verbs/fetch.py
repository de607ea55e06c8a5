"""`lab fetch`: fetch a run from the machine."""

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
        to: Annotated[Path | None, typer.Option("--to", help="Also copy the complete run to this folder.")] = None,
    ) -> int:
        """Fetch the rest of an interrupted run, or copy a complete one. Resumes, and verifies digests; --to copies."""
        with session(options, "fetch", {"machine.name": name}) as lab:
            from lab.flows.fetch import fetch as flow

            folder = flow(lab, run, to)
        doc = {"command": "fetch", "exit": 0, "run_id": folder.name, "run_dir": str(folder)}
        result_line(options, doc, str(folder))
        return 0
