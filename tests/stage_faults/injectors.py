"""One injector per cause: it really does it, around a load and a request, and undoes it.

Not on this host: a step of the clock and a host that takes CPU away. They need a machine of their own.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.stage_faults.place import FAILING, GREEDY, LOST, OTEL, STALE, TINY, Place

CPU_GROUPS: Final = Path("/sys/fs/cgroup/cpu")
GROUP: Final = CPU_GROUPS / f"lab-stage-faults-{os.getpid()}"
WEIGHT: Final = 64 * 1024  # of the default 1024: what others do on this host matters little to what is measured
BURN: Final = "while True: pass"
AT_S: Final = 0.8  # after the order of the load


@dataclass(frozen=True, slots=True, kw_only=True)
class Injector:
    """`truth`: the cause that must be named; "" where none of the table's is at work. instead: lane -> whose place it
    takes. mild: it need not move a value; then all ON is right too."""

    truth: str
    around: Callable[[Place], AbstractContextManager[object]] = lambda _: contextlib.nullcontext()
    instead: dict[str, str] = field(default_factory=dict)
    fresh: bool = False  # in forms that have just been started
    changed: bool = False  # on other inputs than those of the rehearsals
    mild: bool = False
    twice: bool = True  # what it does could be taken for noise: then a second window is taken
    most: int = 1000  # rounds that take a sample


@contextmanager
def heavy() -> Iterator[None]:
    """This process and all that it starts go before everybody else's."""
    GROUP.mkdir(exist_ok=True)
    (GROUP / "cpu.shares").write_text(str(WEIGHT))
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        for pid in (GROUP / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (CPU_GROUPS / "cgroup.procs").write_text(pid)
        _removed(GROUP)


@contextmanager
def burning(count: int) -> Iterator[None]:
    """So many programs that take all the CPU they get. They are orphans: work of this process's is not others' work."""
    argv = ["sh", "-c", '"$@" </dev/null >/dev/null 2>&1 & echo $!', "sh", sys.executable, "-c", BURN]
    hogs = [int(subprocess.check_output(argv)) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            os.kill(hog, signal.SIGKILL)


@contextmanager
def capped(pids: Callable[[], Sequence[int]], quota_us: int, period_us: int, every_s: float = 0.0) -> Iterator[None]:
    """These processes and what they start get so much CPU time per period, by the kernel's own quota. every_s: look
    for more of them so often."""
    group = GROUP / "capped"
    group.mkdir()
    (group / "cpu.cfs_period_us").write_text(str(period_us))
    (group / "cpu.cfs_quota_us").write_text(str(quota_us))
    over = threading.Event()

    def cap() -> None:
        for pid in pids():
            with contextlib.suppress(OSError):
                (group / "cgroup.procs").write_text(str(pid))

    def watch() -> None:
        while not over.wait(every_s):
            cap()

    cap()
    watcher = threading.Thread(target=watch)
    if every_s:
        watcher.start()
    try:
        yield
    finally:
        over.set()
        if every_s:
            watcher.join()
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (GROUP / "cgroup.procs").write_text(pid)
        _removed(group)


def _removed(group: Path) -> None:
    """A control group goes when the last process has left it."""
    while group.exists():
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(0.02)


def throttled(place: Place) -> AbstractContextManager[None]:
    """Everything of the machine: forms, sinks, load and the guest half itself."""
    return capped(lambda: [place.process.pid, *place.pids("")], 1_000, 3_000)


def starved(place: Place) -> AbstractContextManager[None]:
    """The load generator alone; each load has its own."""
    return capped(lambda: place.pids("load"), 1_500, 100_000, every_s=0.1)


@contextmanager
def killed(place: Place) -> Iterator[None]:
    """The agent is killed in the middle of the load; attached again afterwards."""
    (pid,) = place.pids("agent", "ebpf")
    timer = threading.Timer(AT_S, os.kill, (pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        place.order(kind="attach", forms=("ebpf",))


@contextmanager
def late(place: Place, after_s: float = 1.2, **env: str) -> Iterator[None]:
    """The agent is started by us, as it was started before, when the load has begun."""
    (pid,) = place.pids("agent", "ebpf")
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    words = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    before = dict(word.split(b"=", 1) for word in words)
    cwd, started = str(Path(f"/proc/{pid}/cwd").readlink()), []
    place.order(kind="detach", forms=("ebpf",))
    environ = {**before, **{name.encode(): value.encode() for name, value in env.items()}}

    def start() -> None:
        started.append(
            subprocess.Popen(argv, env=environ, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    timer = threading.Timer(after_s, start)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        for process in started:
            process.terminate()
            process.wait(20)
        place.order(kind="attach", forms=("ebpf",))


@contextmanager
def writing(_: Place) -> Iterator[None]:
    """A slow disk: somebody writes and syncs all the time."""
    argv = ["sh", "-c", "while :; do dd if=/dev/zero of=/var/tmp/lab-stage-faults bs=1M count=8 conv=fsync; done"]
    writer = subprocess.Popen(argv, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        Path("/var/tmp/lab-stage-faults").unlink(missing_ok=True)


@contextmanager
def halting(place: Place) -> Iterator[None]:
    """One form's service stands still half of the time, as under a debugger or while it is swapped in."""
    over, pids = threading.Event(), place.pids(OTEL, OTEL)

    def halt() -> None:
        while not over.is_set():
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in pids:
                    os.kill(pid, number)
                time.sleep(0.03)

    thread = threading.Thread(target=halt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def without_files(place: Place) -> Iterator[None]:
    """One form's service may open no more files, so that it accepts no connection."""
    pids = place.pids(OTEL, OTEL)
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


INJECTORS: Final[dict[str, Injector]] = {
    "clean": Injector(truth=""),
    "CPU hogs beside it": Injector(truth="background work", around=lambda _: burning(48)),
    "CPU quota on everything": Injector(truth="throttled", around=throttled),
    "load generator starved": Injector(truth="load generator", around=starved),
    "agent killed": Injector(truth="not attached", around=killed, twice=False),
    "agent started late": Injector(truth="not attached", around=late, twice=False),
    "tiny queue": Injector(truth="dropped spans", instead={TINY: OTEL}, twice=False),
    "context not passed on": Injector(truth="context lost", instead={LOST: OTEL}, twice=False),
    "answers that are errors": Injector(truth="failed requests", instead={FAILING: OTEL}, twice=False),
    "no more open files": Injector(truth="failed requests", around=without_files, twice=False),
    "another form's program": Injector(truth="wrong binary", instead={STALE: OTEL}, twice=False),
    "no warm-up": Injector(truth="warm-up", fresh=True, most=12, mild=True),
    "another tool": Injector(truth="version drift", changed=True, twice=False),
    "unlisted: a greedy collector of garbage": Injector(truth="", instead={GREEDY: OTEL}),
    "unlisted: a service that halts": Injector(truth="", around=halting),
    "unlisted: a slow disk": Injector(truth="", around=writing),
}
