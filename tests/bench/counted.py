"""One counted demo on a quiet host and one beside a busy loop on each core: what each takes, and how far they differ.

Held to: effects within one percentage point of each other, and every word equal. Both runs are kept, and what
`lab report --compare` prints of them comes first.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.flows import report
from lab.model.errors import DemoError
from lab.model.lab import Lab
from tests.bench import targets
from tests.bench.figure import Figure
from tests.support import ROOT

NAME: Final = "bench"
LOOP: Final = "while True: pass"


def measure(lab: Lab, runs: int) -> list[Figure]:
    """The first demo as the host is; each further one beside the loops. LAB_DEMO_SCENARIO says which scenario."""
    found = []
    took = []
    for number in range(max(2, runs)):
        with busy(0 if number == 0 else os.cpu_count() or 1):
            began = time.monotonic()
            found.append(_demo(lab))
            took.append(time.monotonic() - began)
    compared = report.compare(lab, found)
    print("\n".join(compared.lines), file=sys.stderr)
    apart = max((row.apart for row in compared.rows if row.apart is not None), default=0.0)
    unequal = sum(not row.words_equal for row in compared.rows)
    return [
        Figure(name="demo on the host as it is", samples=(took[0],), target=targets.COUNTED_DEMO_S),
        Figure(name="demo beside a busy loop on each core", samples=tuple(took[1:])),
        Figure(name="the same effect in both runs", samples=(apart,), unit="points", target=targets.COUNTED_APART),
        Figure(name="words that differ", samples=(float(unequal),), unit="", target=0.0),
    ]


def _demo(lab: Lab) -> Path:
    argv = [sys.executable, "-m", "lab", "demo", "--name", NAME, "--clock", "counted", "--yes", "--json", "--down"]
    env = {**os.environ, "LAB_HOME": str(lab.paths.home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    if "run_dir" not in result:
        raise DemoError(f"the demo ended with {done.returncode}", fix="lab logs")
    return Path(result["run_dir"])


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """As many processes that do nothing but use a CPU."""
    running = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()
