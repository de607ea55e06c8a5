"""The same binary twice in counted machines, by turns on the host as it is and beside a busy loop on each core.

A session is a demo of baseline and twin in the default scenario, or in that of LAB_DEMO_SCENARIO, with four blocks in
two starts of each; two neighbours have the same requests. Each is one line of a ledger in the home, so that a stopped
count goes on where it was, and one machine serves them all. Held to: the two differ by at most 1 % in 19 of 20
sessions, and what a session reads by at most one percentage point between an idle and a busy host.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from lab.flows import report
from lab.model.errors import DemoError
from lab.model.lab import Lab
from lab.model.loading.load_scenario import load_scenario
from tests.bench import targets
from tests.bench.figure import Figure
from tests.support import ROOT

NAME: Final = "bench-counted"
LEDGER: Final = "counted-twin.jsonl"
METRIC: Final = "instructions_per_request"
LOOP: Final = "while True: pass"
BLOCKS: Final = 2  # in each of two starts


def measure(lab: Lab, runs: int) -> list[Figure]:
    """Sessions until the ledger has `runs` of this scenario; figures over all that it has."""
    scenario, ledger = lab.config.demo.scenario, lab.paths.home / LEDGER
    while len(found := sessions(ledger, scenario)) < runs:
        number = len(found)
        line = _session(lab, scenario, seed=1 + number // 2, loops=(os.cpu_count() or 1) * (number % 2))
        with ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(line, file=sys.stderr)
    twins = tuple(abs(one["twin_pct"]) for one in found)
    pairs = [(a, b) for a, b in pairwise(found) if a["seed"] == b["seed"]]
    apart = tuple(abs(a["twin_pct"] - b["twin_pct"]) for a, b in pairs)
    beyond = sum(twin > targets.COUNTED_TWIN_PERCENT for twin in twins)
    return [
        Figure(name=f"{scenario}: twin against baseline", samples=twins, unit="%", target=targets.COUNTED_TWIN_PERCENT),
        Figure(
            name=f"{scenario}: sessions beyond that", samples=(beyond,), unit=f"of {len(twins)}", target=len(twins) / 20
        ),
        *(
            [Figure(name=f"{scenario}: busy − idle", samples=apart, unit="points", target=targets.COUNTED_APART)]
            if apart
            else []
        ),
        *(
            Figure(
                name=f"{scenario}: a session, {kind}",
                samples=tuple(one["seconds"] for one in found if bool(one["loops"]) is busy_),
            )
            for kind, busy_ in (("host as it is", False), ("busy host", True))
            if any(bool(one["loops"]) is busy_ for one in found)
        ),
    ]


def sessions(ledger: Path, scenario: str) -> list[dict[str, Any]]:
    """What the ledger has of this scenario."""
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    return [one for one in map(json.loads, lines) if one["scenario"] == scenario]


def _session(lab: Lab, scenario: str, *, seed: int, loops: int) -> dict[str, Any]:
    argv = [
        sys.executable,
        "-m",
        "lab",
        "demo",
        _short(lab, scenario),
        "--name",
        NAME,
        "--clock",
        "counted",
        "--yes",
        "--json",
    ]
    argv += ["--form", "baseline,twin", "--seed", str(seed)]
    env = {**os.environ, "LAB_HOME": str(lab.paths.home), "PYTHONPATH": str(ROOT)}
    load, began = os.getloadavg()[0], time.monotonic()
    with busy(loops):
        done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    if done.returncode or "run_id" not in result:
        raise DemoError(f"the demo ended with {done.returncode}", fix="lab logs")
    twin = report.summary(report.find(lab.paths, result["run_id"])).controls.twin[METRIC]
    return {
        "scenario": scenario,
        "run": result["run_id"],
        "seed": seed,
        "loops": loops,
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "seconds": round(time.monotonic() - began, 1),
        "twin_pct": twin.effect_pct,
        "low_pct": twin.low_pct,
        "high_pct": twin.high_pct,
    }


def _short(lab: Lab, scenario: str) -> str:
    """A copy of the scenario with as many requests in fewer blocks: a session has no verdict that needs the others."""
    given = load_scenario(ROOT / "demo" / "scenarios" / f"{scenario}.yaml")
    requests = given.counted.requests * given.counted.blocks // BLOCKS
    text = given.path.read_text(encoding="utf-8")
    text = re.sub(r"\b(blocks|requests): \d+, ", "", text)
    path = lab.paths.home / f"counted-{scenario}.yaml"
    path.write_text(
        text.replace("counted: {", f"counted: {{blocks: {BLOCKS}, requests: {requests}, "), encoding="utf-8"
    )
    return str(path)


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
