"""Inject each cause again and again, name it by the product's own judge, and print what was named.

    unshare -m ./labw python -m tests.stage_faults [-n ROUNDS] [--file FILE.jsonl] [--table]

A round is a rehearsal and one sample of every injector, on this host, in samples of three seconds of load. Samples are
kept in the file, so that the command goes on where it was; --table only prints. Needs root, cgroup v1's cpu
controller, and the artifacts of the demo (LAB_TEST_HOME, or they are built).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab.guest.linux.mounts import mount_kernel_fs, undo
from lab.guest.wire.live import LiveEvent, SpanSeen, live_from_json, live_to_json
from tests.stage_faults import score
from tests.stage_faults.injectors import INJECTORS, Injector, heavy
from tests.stage_faults.place import LOST, SHOWN, Place, plan, specs
from tests.support import lab_at, test_home

RATE: Final = 40.0
REQUESTS: Final = 120
REHEARSAL: Final = "rehearsal"
BUSY: Final = 0.4  # share of the CPU time that others use
FIRST: Final = 5  # rehearsals before the first sample


def sample(place: Place, injector: Injector) -> dict[str, Any]:
    """Values and signals of one beat: a load into four forms, then a request into each."""
    taken = {shown: lane for lane, shown in injector.instead.items()}
    lanes = tuple(taken.get(form, form) for form in SHOWN)
    began = time.monotonic()
    with injector.around(place):
        told = place.order(kind="load", forms=lanes, rate_rps=RATE, requests=REQUESTS, seed=7)
        told += place.order(kind="request", forms=lanes, request="browse", at_once=True, limit_s=2.0)
        seconds = time.monotonic() - began
    shown = [_renamed(event, injector.instead) for event in told]
    return {
        "events": [live_to_json(event) for event in shown if not isinstance(event, SpanSeen)],
        "changed": ["tool go: go1.26.1 in rehearsal, go1.26.2 now"] if injector.changed else [],
        "seconds": round(seconds, 2),
    }


def _renamed(event: LiveEvent, instead: dict[str, str]) -> LiveEvent:
    """A wrong lane's event as its form's. The program that loses the context stands for a peer that does: it must not
    be known by its build."""
    doc = live_to_json(event)
    form = doc["data"].get("form")
    if form not in instead:
        return event
    hidden = {"build_ids": {}, "build_id": ""} if form == LOST else {}
    return live_from_json(doc["kind"], {**doc["data"], "form": instead[form], **hidden})


def main() -> int:
    """Go on with the rounds, then print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stage_faults", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("-n", "--rounds", type=int, default=30)
    parser.add_argument("--file", type=Path, default=Path("stage-faults.jsonl"))
    parser.add_argument("--table", action="store_true", help="only print what the file holds")
    asked = parser.parse_args()
    if not asked.table:
        go_on(asked.file, asked.rounds)
    print(score.table(asked.file))
    return 0


@contextmanager
def kernel_fs(folder: Path) -> Iterator[None]:
    """What `prepare` mounts before a run."""
    mount_kernel_fs(folder / "mounts.json")
    try:
        yield
    finally:
        undo(folder / "mounts.json")


def go_on(file: Path, rounds: int) -> None:
    """Take the samples that are missing."""
    done = {(one["round"], one["injector"]) for one in score.read(file)}
    with tempfile.TemporaryDirectory(prefix="lab-faults-") as folder, kernel_fs(Path(folder)), heavy():
        named, artifacts, root = specs(lab_at(test_home()), Path(folder))
        place = Place(Path(folder) / "place", plan(named, artifacts), root)
        print(f"the forms and the wrong ones: {place.proven}", file=sys.stderr, flush=True)
        try:
            busy = False
            for number in range(rounds):
                first = [REHEARSAL + f" {n}" for n in range(FIRST)] if number == 0 else [REHEARSAL]
                order = list(INJECTORS)
                random.Random(number).shuffle(order)
                for name in [*first, *order]:
                    injector = INJECTORS.get(name, INJECTORS["clean"])
                    if (number, name) in done or (injector.alone and busy):
                        continue
                    if injector.fresh:
                        made = plan({form: named[form] for form in SHOWN}, artifacts)
                        at = Place(Path(folder) / f"fresh-{number}", made, root)
                        try:
                            taken = sample(at, injector)
                        finally:
                            at.close()
                    else:
                        taken = sample(place, injector)
                    busy = (score.signals_of(taken).others or 0.0) > BUSY
                    with file.open("a") as out:
                        out.write(json.dumps({"round": number, "injector": name, **taken}) + "\n")
                    print(f"round {number}: {name}, {taken['seconds']} s", file=sys.stderr, flush=True)
        finally:
            place.close()


if __name__ == "__main__":
    sys.exit(main())
