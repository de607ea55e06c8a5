"""Where the time of a counted demo goes: seconds of the machine's clock by part, over all lives and cells of a run.

    ./labw python -m tests.bench.parts RUN [RUN...]

Each RUN is a name that `lab runs` lists. Idle seconds pass as seconds of the host, thirty in one where the machine
executes them; of the busy ones a host needs as many as its emulation is slower than the counted clock, so the last rows
say how long the run took there.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

from lab.cli.options import Options
from lab.cli.session import session
from lab.flows import report
from lab.model.events import StepFinished
from lab.model.run import Run
from lab.runs import read

PARTS = ("start", "proof", "warm-up", "load", "drain", "between", "stop")


def parts(run: Run) -> dict[str, float]:
    """Part -> seconds of the machine's clock. A drain ends when the span count has stood still."""
    cells = {(one.cell.id, one.cell.attempt): one.cell for one in run.cells}
    took: dict[str, float] = defaultdict(float)
    last, part = 0, ""
    for record in sorted(run.records, key=lambda record: record.at_ns):
        kind, data = record.kind, record.data
        if kind not in {"life", "proof", "state", "cell", "done"}:
            continue
        if kind == "cell":
            cell = cells[data["id"], data["attempt"]]
            load_s = cell.completed / cell.achieved_rps
            took["warm-up"] += (cell.window_start_ns - last) / 1e9
            took["load"] += load_s
            took["drain"] += cell.window_s - load_s
            took["between"] += (record.at_ns - cell.window_end_ns) / 1e9
        elif last:
            part = {"ready": "start", "stopped": "stop"}.get(
                data.get("phase", ""), "proof" if kind == "proof" else "between"
            )
            took[part] += (record.at_ns - last) / 1e9
        last = record.at_ns
    return took


def main() -> int:
    home = Path(os.environ["LAB_HOME"]) if "LAB_HOME" in os.environ else None
    with session(Options(plain=True, home=home), "parts", {}) as lab:
        runs = [read.read(report.find(lab.paths, name)) for name in sys.argv[1:]]
    rows = [parts(run) for run in runs]
    print("| guest seconds |", " | ".join(run.id for run in runs), "|\n|---|" + "---:|" * len(runs))
    for part in PARTS:
        print(f"| {part} |", " | ".join(f"{row[part]:.1f}" for row in rows), "|")
    print("| **all** |", " | ".join(f"{sum(row.values()):.1f}" for row in rows), "|")
    print(
        "| of it busy in cells |", " | ".join(f"{sum(one.cell.busy_s for one in run.cells):.1f}" for run in runs), "|"
    )
    print("| cells |", " | ".join(str(len(run.cells)) for run in runs), "|")
    steps = [
        {r.event.name: r.event.seconds for r in run.host_events if isinstance(r.event, StepFinished)} for run in runs
    ]
    for step in ("up", "guest", "start", "run", "fetch"):
        print(f"| host seconds: {step} |", " | ".join(f"{found.get(step, 0.0):.1f}" for found in steps), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
