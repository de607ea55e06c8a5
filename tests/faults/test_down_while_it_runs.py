"""`lab down` on this very Linux while a demo runs, or after it was killed: local-down-leaves-run.

Whatever was killed, stopped or removed, and whenever: no process, mount, control group, BPF pin or claim is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.guest.linux import ending
from lab.machines.providers.local import mounts as local_mounts
from lab.machines.providers.local import provider as local
from tests.faults.running import Running, running
from tests.support import run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
NAME = "downed"
FORMS = "baseline,ebpf"
DEMO = ("demo", "http", "--provider", "local", "--name", NAME, "--form", FORMS, "--profile", "stage", "--json")
SEED = int(os.environ.get("KILLS_SEED", "10"))
LATEST_S = float(os.environ.get("KILLS_LATEST_S", "25"))


def ours(home: Path) -> list[ending.Process]:
    """What runs of this test: it names the home, or carries the mark of a run below it."""
    found = [one for one in ending.processes().values() if one.pid != os.getpid()]
    return [one for one in found if str(home) in " ".join((*one.argv, one.folder()))]


def runs(home: Path) -> str:
    return str(home / "machines" / NAME / "guest/runs")


def traces(home: Path) -> dict[str, list[str]]:
    """What a demo may leave on this host, but processes."""
    pins = Path(ending.BPF_FS)
    places = (local.OWNER_FILE, local.LOCK_FILE, Path(ending.runtime()))
    return {
        "mounts": sorted(mount.target for mount in local_mounts.mounts()),
        "groups": ending.groups(runs(home)),
        "pins": sorted(path.name for path in pins.iterdir() if path.name.isdigit()) if pins.is_dir() else [],
        "claims": [str(path) for path in places if path.exists()],
        "machines": [path.name for path in (home / "machines").glob("*")],
    }


def lab_itself(demo: Running, _: Path) -> None:
    demo.signal(signal.SIGKILL)


def the_leader(_: Running, home: Path) -> None:
    _to([one for one in ours(home) if one.verb() in ending.LEADERS], signal.SIGKILL)


def all_but_the_agent(demo: Running, home: Path) -> None:
    demo.signal(signal.SIGKILL)
    _to([one for one in ours(home) if not one.argv[0].endswith("/agent")], signal.SIGKILL)


def everything_stops(demo: Running, home: Path) -> None:
    demo.signal(signal.SIGKILL)
    _to([one for one in ours(home) if one.pid != demo.process.pid], signal.SIGSTOP)


def the_folder_is_removed(demo: Running, home: Path) -> None:
    demo.signal(signal.SIGKILL)
    shutil.rmtree(home / "machines" / NAME, ignore_errors=True)


def nothing(_: Running, __: Path) -> None:
    """It is followed in another terminal."""


KINDS: tuple[Callable[[Running, Path], None], ...] = (
    lab_itself,
    the_leader,
    all_but_the_agent,
    everything_stops,
    the_folder_is_removed,
    nothing,
)


def _to(those: list[ending.Process], number: int) -> None:
    for one in those:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, number)


def kill_and_take_down(home: Path, kind: Callable[[Running, Path], None], after_s: float) -> None:
    before = traces(home)
    with running(*DEMO, home=home) as demo:
        with contextlib.suppress(Exception):
            demo.process.wait(after_s)
        kind(demo, home)
        down = run_lab("down", NAME, home=home, limit_s=150)
        assert down.code == 0, down.stderr
        if kind is not nothing:
            demo.process.kill()
        demo.wait(60)
    ends = time.monotonic() + 3  # what a killed command had just begun ends with it
    while ours(home) and time.monotonic() < ends:
        time.sleep(0.1)
    assert [str(one) for one in ours(home)] == []
    assert traces(home) == before


def kills(home: Path, count: int) -> None:
    instants = random.Random(SEED)
    for number in range(count):
        kind = KINDS[number % len(KINDS)] if count > len(KINDS) else instants.choice(KINDS)
        after_s = instants.uniform(0.3, LATEST_S)
        print(f"seed {SEED}, kill {number + 1} of {count}: {kind.__name__} after {after_s:.1f} s", flush=True)
        kill_and_take_down(home, kind, after_s)


def test_three_kills_at_random_instants(home: Path) -> None:
    kills(home, 3)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_25_kills_at_random_instants(home: Path) -> None:
    kills(home, 25)


def test_who_follows_the_demo_is_told_who_took_the_machine_down(home: Path) -> None:
    with running(*DEMO, home=home) as demo:
        demo.until(lambda: [one for one in ours(home) if one.verb() in ending.LEADERS], "the run")
        assert run_lab("down", NAME, home=home, limit_s=150).code == 0
        assert ours(home) == [] or [one.pid for one in ours(home)] == [demo.process.pid]
        assert demo.wait(60) == 6
        assert demo.hears(f"machine {NAME} was taken down by `lab down {NAME}` (pid ")
        assert not demo.hears("can't open file")
        assert not demo.hears("lab doctor")
