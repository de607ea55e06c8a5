"""`lab bench`: the figures of docs/benchmarks.md, measured here and now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session
from lab.model.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add `bench`."""

    @verb(app, "bench")
    def bench(
        options: Options,
        machine: dict[str, Any],
        group: Annotated[str, typer.Argument(metavar="cli|machine|fetch|last", help="What to measure.")] = "cli",
        runs: Annotated[int, typer.Option("--runs", "-n", min=1, max=50, help="Repetitions of each figure.")] = 5,
        against: Annotated[
            str | None, typer.Option("--against", help="machine: another provider's `lab up` beside QEMU's.")
        ] = None,
    ) -> int:
        """Figures beside their targets, measured on the real thing."""
        if against is not None and group != "machine":
            raise UsageError(f"bench {group} compares nothing", fix=f"lab bench machine --against {against}")
        with session(options, "bench", machine) as lab:
            from lab.flows import bench, bench_against

            if against is not None:
                figures = bench_against.measure(lab, against, runs)
            else:
                figures = bench.measure(lab, group, runs)
        lines = [f"{'figure':<44} {'median':>10} {'min':>9} {'max':>9} {'target':>9} {'ratio':>6}"]
        lines += [figure.line() for figure in figures]
        answer(options, {"figures": [figure.to_json() for figure in figures]}, "\n".join(lines))
        return 0
