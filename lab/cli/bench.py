"""`lab bench`: the figures of docs/benchmarks.md, measured here and now."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `bench`."""

    @verb(app, "bench")
    def bench(
        options: Options,
        group: Annotated[str, typer.Argument(metavar="cli|machine|last", help="What to measure.")] = "cli",
        runs: Annotated[int, typer.Option("--runs", "-n", min=1, max=50, help="Repetitions of each figure.")] = 5,
    ) -> int:
        """Figures with their targets and the ratio, measured by running the real thing."""
        with session(options, "bench") as lab:
            from lab.flows.bench import measure

            figures = measure(lab, group, runs)
        lines = [f"{'figure':<44} {'median':>10} {'min':>9} {'max':>9} {'target':>9} {'ratio':>6}"]
        lines += [figure.line() for figure in figures]
        answer(options, {"figures": [figure.to_json() for figure in figures]}, "\n".join(lines))
        return 0
