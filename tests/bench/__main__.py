"""Measure figures and print them beside their targets.

    ./labw python -m tests.bench [cli|machine|fetch|build|counted|live|stage] [-n RUNS] [--against PROVIDER] [--json]

The machine's shape comes from lab.yaml and LAB_MACHINE_* variables, as for every command; LAB_HOME says where.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lab.cli.options import Options
from lab.cli.session import session
from lab.model.errors import LabError
from lab.model.lab import Lab
from tests.bench import against, build, commands, counted, fetch, live, machine, stage
from tests.bench.figure import Figure, table

GROUPS: dict[str, Callable[[Lab, int], list[Figure]]] = {
    "cli": commands.measure,
    "machine": machine.measure,
    "fetch": fetch.measure,
    "build": build.measure,
    "counted": counted.measure,
    "live": live.measure,
    "stage": stage.measure,
}


def main() -> int:
    """Measure one group. Exit code 0, or that of the product's own error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", nargs="?", default="cli", choices=list(GROUPS))
    parser.add_argument("-n", "--runs", type=int, default=5, choices=range(1, 51), metavar="1..50")
    parser.add_argument("--against", help="machine: another provider's `lab up` beside QEMU's")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.against and asked.group != "machine":
        parser.error("--against needs the group machine")
    with session(
        Options(plain=True, home=Path(os.environ["LAB_HOME"]) if "LAB_HOME" in os.environ else None), "bench", {}
    ) as lab:
        figures = (
            against.measure(lab, asked.against, asked.runs) if asked.against else GROUPS[asked.group](lab, asked.runs)
        )
    print(json.dumps([figure.to_json() for figure in figures], indent=2) if asked.json else table(figures))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"{error.message} — fix: {error.fix}")
