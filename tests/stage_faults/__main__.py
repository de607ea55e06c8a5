"""Inject each cause again and again, name it by the product's own judge, and print what was named.

    unshare -m ./labw python -m tests.stage_faults [-n ROUNDS] [--file FILE.jsonl] [--table] [--machine NAME]
        [--only INJECTOR]

A round is a rehearsal and one sample of every injector, on this host, in samples of three seconds of load. Samples are
kept in the file, so that the command goes on where it was; --table only prints. Needs root, cgroup v1's cpu
controller, and the artifacts of the demo (LAB_TEST_HOME, or they are built).
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.cli.options import Options
from lab.cli.session import session
from lab.guest.linux.mounts import mount_kernel_fs, undo
from lab.guest.wire.live import LiveEvent, SpanSeen, live_from_json, live_to_json
from lab.stage.beat.host_use import HostUse
from tests.stage_faults import score
from tests.stage_faults.injectors import INJECTORS, Injector, heavy
from tests.stage_faults.machine import IN_A_MACHINE, Machine
from tests.stage_faults.place import LOST, OTEL, SHOWN, Place, plan, specs
from tests.stage_faults.score import ALL
from tests.support import lab_at, test_home

REHEARSAL: Final = "rehearsal"
FIRST: Final = 5  # rehearsals before the first sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a sample sends."""

    forms: tuple[str, ...]
    rate_rps: float
    requests: int
    request: str = "browse"  # once into each, afterwards


HERE: Final = Load(forms=SHOWN, rate_rps=40.0, requests=120)
EMULATED: Final = Load(forms=("baseline", OTEL, "ebpf"), rate_rps=4.0, requests=24, request="get")


def sample(place: Any, injector: Injector, load: Load, host: Callable[[], HostUse | None]) -> dict[str, Any]:
    """What is seen of one beat: a load into all forms, where noise could move it the same load once more, and a
    request into each. How it is judged is another matter: `score` does that from the file, as often as one likes."""
    taken = {shown: lane for lane, shown in injector.instead.items()}
    lanes = tuple(taken.get(form, form) for form in load.forms)

    def loaded() -> dict[str, Any]:
        before = host()
        told = place.order(kind="load", forms=lanes, rate_rps=load.rate_rps, requests=load.requests, seed=7)
        after = host()
        return {
            "events": _kept(told, injector),
            "host_others": after.others(before) if before and after else None,
            "host_waited": after.waited(before) if before and after else None,
        }

    began = time.monotonic()
    with injector.around(place):
        first = loaded()
        again = loaded() if injector.twice else None
        told = place.order(kind="request", forms=lanes, request=load.request, at_once=True, limit_s=2.0)
        seconds = time.monotonic() - began
    first["events"] += _kept(told, injector)
    changed = ["tool go: go1.26.1 in rehearsal, go1.26.2 now"] if injector.changed else []
    return {**first, "again": again, "changed": changed, "seconds": round(seconds, 2)}


def _kept(told: list[LiveEvent], injector: Injector) -> list[dict[str, Any]]:
    return [live_to_json(_renamed(event, injector.instead)) for event in told if not isinstance(event, SpanSeen)]


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
    parser.add_argument("--machine", metavar="NAME", help="in this machine instead of on this host")
    parser.add_argument("--only", action="append", metavar="INJECTOR", help="and no other; may be repeated")
    parser.add_argument("--table", action="store_true", help="only print what the file holds")
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(130))  # undo what was injected
    if not asked.table:
        with heavy():
            only = set(asked.only or ALL)
            if unknown := only - ALL.keys():
                parser.error(f"no injector is called {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
            if asked.machine:
                in_a_machine(asked.file, asked.rounds, asked.machine, only)
            else:
                here(asked.file, asked.rounds, only)
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


def here(file: Path, rounds: int, only: set[str]) -> None:
    """On this host."""
    with tempfile.TemporaryDirectory(prefix="lab-faults-") as folder, kernel_fs(Path(folder)):
        named, artifacts, root = specs(lab_at(test_home()), Path(folder))
        shown = plan({form: named[form] for form in SHOWN}, artifacts)
        numbers = itertools.count(1)
        place = Place(Path(folder) / "place", plan(named, artifacts), root)
        print(f"the forms and the wrong ones: {place.proven}", file=sys.stderr, flush=True)

        def take(injector: Injector) -> dict[str, Any]:
            if not injector.fresh:
                return sample(place, injector, HERE, lambda: None)
            with closing(Place(Path(folder) / f"fresh-{next(numbers)}", shown, root)) as fresh:
                return sample(fresh, injector, HERE, lambda: None)

        with closing(place):
            go_on(file, rounds, _chosen(INJECTORS, only), take)


def in_a_machine(file: Path, rounds: int, name: str, only: set[str]) -> None:
    """In a machine that has its forms on standby."""
    with session(Options(plain=True), "stage-faults", {}) as lab, ExitStack() as stack:
        place = Machine(lab, name, stack)
        injectors = _chosen(IN_A_MACHINE[place.cast.clock], only)
        go_on(file, rounds, injectors, lambda injector: sample(place, injector, EMULATED, place.use))


def _chosen(injectors: dict[str, Injector], only: set[str]) -> dict[str, Injector]:
    return {name: injector for name, injector in injectors.items() if name in only}


def go_on(file: Path, rounds: int, injectors: dict[str, Injector], take: Callable[[Injector], dict[str, Any]]) -> None:
    """Take the samples that are missing."""
    done = {(one["round"], one["injector"]) for one in score.read(file)}
    for number in range(rounds):
        first = [REHEARSAL + f" {n}" for n in range(FIRST)] if number == 0 else [REHEARSAL]
        order = list(injectors)
        random.Random(number).shuffle(order)
        for name in [*first, *order]:
            injector = injectors.get(name, Injector(truth="", twice=False))
            if (number, name) in done or number >= injector.most:
                continue
            taken = take(injector)
            with file.open("a") as out:
                out.write(json.dumps({"round": number, "injector": name, **taken}) + "\n")
            print(f"round {number}: {name}, {taken['seconds']} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
