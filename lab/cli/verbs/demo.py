"""`lab demo`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session
from lab.model.config import Config, keys

if TYPE_CHECKING:
    from lab.flows.request import DemoRequest

SCENARIO: Final = "demo.scenario"  # an argument of `demo`, an option of the other verbs
DEMO: Final = [path for path in flags.DEMO if path != SCENARIO]
Scenario = Annotated[str | None, typer.Argument(metavar="SCENARIO", help=f"{keys()[SCENARIO].help}.")]


def register(app: typer.Typer) -> None:
    """Add `demo`."""

    @verb(app, "demo", takes=[*DEMO, *flags.MACHINE])
    def demo(
        options: Options,
        wanted: dict[str, Any],
        scenario: Scenario = None,
        name: flags.At = None,
        service: flags.Service = None,
        down: Annotated[bool, typer.Option("--down", help="Remove the machine afterwards (CI).")] = False,
        yes: flags.Yes = False,
    ) -> int:
        """Run everything: machine, forms, load, results, report.

        Skips what is done already and resumes an interrupted run.
        Prints one verdict per form and the path of the report. Exit code 6 when a cell or a proof failed.
        """
        wanted |= {SCENARIO: scenario, "machine.name": name}

        def asked_for(config: Config) -> DemoRequest:
            from lab.flows import request

            return request.read(config.demo, service_dir=service, forms_given=wanted["demo.forms"] is not None)

        with session(options, "demo", wanted, also=asked_for) as lab:
            from lab.flows.demo import demo as flow
            from lab.flows.doctor import ready_for_demo
            from lab.guest.wire import encode
            from lab.machines import lifecycle

            asked = asked_for(lab.config)
            ready_for_demo(lab, asked, install_missing=yes)
            try:
                done = flow(lab, asked)
            finally:
                if down:
                    lifecycle.down(lab, lab.config.machine.name)
        doc = {
            "command": "demo",
            "exit": done.exit_code,
            "run_id": done.directory.name,
            "run_dir": str(done.directory),
            "report": str(done.html),
            "verdicts": encode(done.summary.verdicts),
            "left_out": encode(done.summary.left_out),
        }
        result_line(options, doc, "\n".join([*done.lines, f"report: {done.html}"]))
        return done.exit_code
