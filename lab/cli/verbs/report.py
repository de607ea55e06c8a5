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
        runs: Annotated[list[str] | None, typer.Argument(metavar="RUN", help=flags.RUN_HELP)] = None,
        compare: Annotated[bool, typer.Option("--compare", help="Show the runs' verdicts side by side.")] = False,
        no_open: Annotated[bool, typer.Option("--no-open", help="Do not open it in a browser.")] = False,
    ) -> int:
        """Write the report of a run again from its files and open it. Works offline, without the machine.

        --compare takes several runs, of other days, machines or versions, and refuses those that are not comparable.
        """
        named = list(runs or [])
        if len(named) > 1 and not compare:
            from lab.model.errors import UsageError

            raise UsageError("lab report takes one run", fix=f"lab report --compare {' '.join(named)}")
        if compare:
            return _compare(options, named)
        with session(options, "report") as lab:
            from lab.flows import report as flow
            from lab.system.documents import shown_path

            done = flow.write(lab, flow.find(lab.paths, named[0] if named else None))
        doc = {"command": "report", "exit": 0, "run_id": done.directory.name, "report": str(done.html)}
        result_line(options, doc, "\n".join([*done.lines, f"report: {shown_path(str(done.html))}"]))
        if not no_open and not options.json:
            import sys
            import webbrowser

            if sys.stdout.isatty():
                webbrowser.open(done.html.as_uri())
        return 0


def _compare(options: Options, named: list[str]) -> int:
    with session(options, "report") as lab:
        from lab.flows import report as flow
        from lab.guest.wire import encode

        done = flow.compare(lab, flow.to_compare(lab.paths, named))
    doc = {"command": "report", "exit": 0, "runs": list(done.runs), "rows": encode(done.rows)}
    result_line(options, doc, "\n".join(done.lines))
    return 0
