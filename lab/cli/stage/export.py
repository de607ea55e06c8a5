"""`lab export`: what goes into slides, or to a laptop without lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session
from lab.stage.replay import Format


def register(app: typer.Typer) -> None:
    """Add `export`."""

    @verb(app, "export")
    def export(
        options: Options,
        what: flags.Recorded = None,
        name: flags.At = None,
        form: Annotated[Format, typer.Option("--format", help="page, svg, png or cast.")] = "page",
        figure: Annotated[str | None, typer.Option("--figure", help="One figure of the run (default: all).")] = None,
        out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files.")] = Path(),
    ) -> int:
        """Write a recording as files for slides, or to play it anywhere.

        page: one HTML file that plays the recording in any browser, without a server or a network. svg, png: the
        figures of a run's report, each with a provenance line; png needs Chromium or Chrome. cast: what the beats
        printed, for asciinema.
        """
        with session(options, "export", {"machine.name": name} if name else {}) as lab:
            from lab.stage.replay import export as flow

            written = flow.write(lab, what, form, out, figure=figure)
        shown = [str(path) for path in written]
        answer(options, {"command": "export", "exit": 0, "files": shown}, "\n".join(shown))
        return 0
