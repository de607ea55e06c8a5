"""`lab report`: write and open the report of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session


def register(app: typer.Typer) -> None:
    """Add `report`."""

    @verb(app, "report")
    def report(
        options: Options,
        run: flags.Run = None,
        no_open: Annotated[bool, typer.Option("--no-open", help="Do not open it in a browser.")] = False,
    ) -> int:
        """Write the report again from the run's files and open it. Works offline, without the machine."""
        with session(options, "report") as lab:
            from lab.flows import report as flow
            from lab.system.documents import shown_path

            done = flow.write(lab, flow.find(lab.paths, run))
        doc = {"command": "report", "exit": 0, "run_id": done.directory.name, "report": str(done.html)}
        result_line(options, doc, "\n".join([*done.lines, f"report: {shown_path(str(done.html))}"]))
        if not no_open and not options.json:
            import sys
            import webbrowser

            if sys.stdout.isatty():
                webbrowser.open(done.html.as_uri())
        return 0
