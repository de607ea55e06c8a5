"""End every process that a machine's runs started there, verify it, and list what is left.

A process belongs to a run by its control group, by its pid and start time in the register, by the run's folder in its
environment or command line, or by a parent that belongs to the run; never by its name. Lock and register are outside
the machine's folder, which may be removed during a run. This file is also sent alone over SSH: it imports none of the
other modules here.
    python3 ending.py RUNS_FOLDER [look]
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from typing import Any

OUT_ENV = "LAB_GUEST_OUT"  # in every process of a run: the run's folder
RUNTIME_ENV = "LAB_GUEST_RUNTIME"  # another folder for lock and register: for tests beside a real run
LOCK, REGISTER = "lock", "children.jsonl"
LEADERS, LAUNCHERS = ("run", "standby", "held"), ("start", "start-standby", "hold", "prepare")  # "h…": earlier labs'
BPF_FS = "/sys/fs/bpf"
GRACE_S = 60.0  # a leader stops at its next safe point, its agents first; slow in an emulated machine
REST_S, LOOK_S = 10.0, 0.1
MOST = 8 << 20  # bytes that are read of one file


class Process:
    """One process from /proc; pid and start time together identify it."""

    def __init__(self, pid: int) -> None:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        self.pid, self.state, self.parent, self.session = pid, fields[0], int(fields[1]), int(fields[3])
        self.ticks = int(fields[19])
        self.argv = _words(pid, "cmdline")
        self.env = dict(word.partition("=")[::2] for word in _words(pid, "environ"))

    def verb(self) -> str:
        """The verb, when this process is the guest half; else ""."""
        for index, word in enumerate(self.argv[:-1]):
            program = word.rpartition("/")[2]
            if word == "lab.guest" or (program.startswith("guest-") and program.endswith(".pyz")):
                return self.argv[index + 1]
        return ""

    def folder(self) -> str:
        """The run's folder from its options or environment; "" when it belongs to no run."""
        for option in ("--out", "--journal") if self.verb() else ():
            if option in self.argv[:-1]:
                path = self.argv[self.argv.index(option) + 1]
                return path if option == "--out" else os.path.join(os.path.dirname(path), "runs")
        home = self.env.get("HOME", "")  # an older lab set both to the run's folder
        return self.env.get(OUT_ENV) or (home if home == self.env.get("TMPDIR") else "")

    def __str__(self) -> str:
        words = [word.rpartition("/")[2] for word in self.argv[:2]] + self.argv[2:]
        return "pid %d (%s)" % (self.pid, " ".join(words)[:120] or "?")


def _words(pid: int, name: str) -> list[str]:
    with contextlib.suppress(OSError), open("/proc/%d/%s" % (pid, name), "rb") as file:
        return file.read().decode("utf-8", "replace").split("\0")[:-1]
    return []


def processes() -> dict[int, Process]:
    """Every running process; zombies are left out."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            process = Process(int(name))
            if process.state not in ("Z", "X"):
                found[process.pid] = process
    return found


def runtime() -> str:
    """The folder of lock and register: one for the whole host, for runs of every machine and home."""
    own = "/run/lab-guest" if os.getuid() == 0 else "%s/lab-guest-%d" % (tempfile.gettempdir(), os.getuid())
    return os.environ.get(RUNTIME_ENV) or own


def runs_of(out: str) -> str:
    """The folder of all runs of a machine: RUNS/ID/guest and RUNS/ID both give RUNS."""
    return os.path.dirname(os.path.dirname(out) if os.path.basename(out) == "guest" else out)


def tag(runs: str) -> str:
    """The part of the names of a machine's control groups and units that follows from its folder."""
    return hashlib.sha256(os.path.realpath(runs).encode()).hexdigest()[:12]


def groups(runs: str) -> list[str]:
    """Our folders in every mounted hierarchy; lab 0.1 named those of its first runs after their plan."""
    names = {"lab-" + tag(runs)}
    for path in _of_each(runs, "guest/state.json", "state.json"):
        names.update("lab-" + str(row.get("plan_digest", ""))[:12] for row in _lines(path))
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        rows = [line.split(" ") for line in file]
    found = []
    for top in [row[1] for row in rows if len(row) > 2 and row[2] in ("cgroup", "cgroup2")]:
        for folder, below, _ in os.walk(top):
            found += [os.path.join(folder, name) for name in below if name in names]
    return found


def members(folders: list[str]) -> set[int]:
    """The pids in these groups or below them."""
    found: set[int] = set()
    for top in folders:
        for folder, _, _ in os.walk(top):
            with contextlib.suppress(OSError, ValueError), open(folder + "/cgroup.procs", encoding="utf-8") as file:
                found.update(int(line) for line in file)
    return found


def registered(runs: str) -> list[dict[str, Any]]:
    """The register's rows of this machine's runs in this boot."""
    rows = [row for row in _lines("%s/%s" % (runtime(), REGISTER)) if row.get("runs") == os.path.realpath(runs)]
    for path in _of_each(runs, "guest/work/children.jsonl", "work/children.jsonl"):  # an older lab's
        rows += _lines(path)
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        boot = file.read().strip()
    return [row for row in rows if row.get("boot") == boot and isinstance(row.get("pid"), int) and row.get("ticks")]


def content(path: str, most: int = MOST) -> bytes:
    """The first bytes of a plain file. Raises OSError for anything else: a plain open of a FIFO waits for a writer."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("%s is not a plain file" % path)
    with open(fd, "rb") as file:
        return file.read(most)


def _of_each(runs: str, *names: str) -> list[str]:
    """These files of every run; skips symbolic links, which may lead to the runs of another machine."""
    found = [path for name in names for path in glob.glob("%s/*/%s" % (glob.escape(runs), name))]
    return [path for path in found if os.path.realpath(path) == os.path.realpath(runs) + path[len(runs) :]]


def _lines(path: str) -> list[dict[str, Any]]:
    rows = []
    with contextlib.suppress(OSError):
        for line in content(path).splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                rows.append(json.loads(line.decode("utf-8", "replace")))
    return [row for row in rows if isinstance(row, dict)]


def of_runs(runs: str) -> list[Process]:
    """Every process of this machine's runs, except the caller and its ancestors."""
    running, rows = processes(), registered(runs)
    inside, marks = members(groups(runs)), (runs + "/", os.path.realpath(runs) + "/")
    ours = {pid for pid, one in running.items() if pid in inside or (one.folder() + "/").startswith(marks)}
    for row in rows:
        started, one = row["pid"], running.get(row["pid"])
        if one is None or one.ticks == row["ticks"]:  # a session id is not reused before all its processes ended
            ours |= {pid for pid, other in running.items() if started in (pid, other.session)}
    while more := {pid for pid, one in running.items() if one.parent in ours} - ours:
        ours |= more
    return [running[pid] for pid in sorted(ours - above(running))]


def above(running: dict[int, Process]) -> set[int]:
    """This process and its ancestors."""
    found, pid = set(), os.getpid()
    while pid and pid not in found:
        found.add(pid)
        pid = running[pid].parent if pid in running else 0
    return found


def take() -> int | None:
    """The open lock file, locked; None when another process has it. The holder may remove it, as `forget` does."""
    path = "%s/%s" % (runtime(), LOCK)
    while True:
        with contextlib.suppress(FileNotFoundError):  # removed between two of these steps: retry
            os.makedirs(runtime(), mode=0o700, exist_ok=True)
            if os.stat(runtime()).st_uid != os.getuid():
                raise PermissionError("%s belongs to another user" % runtime())
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
            os.close(fd)


def forget(runs: str) -> None:
    """Remove our rows from the register, and lock and folder with the last row. Call with the lock held."""
    path, running = "%s/%s" % (runtime(), REGISTER), processes()
    others = [row for row in _lines(path) if row.get("runs") != os.path.realpath(runs)]
    others = [row for row in others if row.get("pid") in running and running[row["pid"]].ticks == row.get("ticks")]
    if not others:
        shutil.rmtree(runtime(), ignore_errors=True)
        return
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in others)
    os.replace(path + ".new", path)


def holder() -> dict[str, Any]:
    """The content of the lock file: digest, out, pid, standby."""
    return next(iter(_lines("%s/%s" % (runtime(), LOCK))), {})


def end_children(runs: str) -> int:
    """For a leader that starts: end the processes of an earlier one; returns their number."""
    half = REST_S / 2
    return len(_end(runs, ((signal.SIGTERM, half, False), (signal.SIGKILL, half, False)), sparing=LAUNCHERS)[0])


def end(runs: str, grace_s: float = GRACE_S) -> dict[str, Any]:
    """End and remove everything of this machine's runs. "left": one text for each thing that stays."""
    if os.path.isdir("/run/systemd/system"):  # a unit that is being started has no process yet
        older = [os.path.basename(top)[len("lab-") :] for top in groups(runs)]
        units = ["lab-guest-%s-*.service" % tag(runs), *("lab-guest-%s.service" % name for name in older)]
        subprocess.run(["systemctl", "stop", *units], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    stages = ((signal.SIGTERM, grace_s, True), (signal.SIGTERM, REST_S, False), (signal.SIGKILL, REST_S, False))
    ended, left = _end(runs, stages)
    return {"ended": len(ended), "left": left or _clear(runs, ended)}


def _end(
    runs: str, stages: tuple[tuple[int, float, bool], ...], sparing: tuple[str, ...] = ()
) -> tuple[dict[int, Process], list[str]]:
    """Each stage: a signal, how long to wait, and whether it goes only to leaders, which end their own children."""
    known: dict[int, Process] = {}
    found: list[Process] = []
    for number, wait_s, leaders in stages:
        signalled: set[tuple[int, int]] = set()
        ends = time.monotonic() + wait_s
        while True:
            found = [one for one in of_runs(runs) if one.verb() not in sparing]
            known.update((one.pid, one) for one in found)
            now = [one for one in found if not leaders or one.verb() in LEADERS]
            for one in found:
                if one.verb() in LAUNCHERS:
                    _signal(one, signal.SIGKILL)  # it would only start more
                elif one in now and (number == signal.SIGKILL or (one.pid, one.ticks) not in signalled):
                    signalled.add((one.pid, one.ticks))
                    _signal(one, number)
                    _signal(one, signal.SIGCONT)  # a stopped process does not handle the first
            if not now or time.monotonic() > ends:
                break
            time.sleep(LOOK_S)
    return known, ["%s still runs" % one for one in found]


def _signal(one: Process, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(one.pid, number)


def _clear(runs: str, ended: dict[int, Process]) -> list[str]:
    """Remove pins of dead targets, groups, register and lock; holds the lock, so that no run starts meanwhile."""
    left = []
    lock = take()
    for pid in {row["pid"] for row in registered(runs)} | ended.keys():
        pins = "%s/%d" % (BPF_FS, pid)
        if os.path.isdir(pins) and not os.path.exists("/proc/%d" % pid):
            shutil.rmtree(pins, ignore_errors=True)
            left += ["%s is still pinned" % pins] if os.path.exists(pins) else []
    ends = time.monotonic() + REST_S / 5
    while groups(runs) and time.monotonic() < ends:  # the kernel may need a moment after the last process
        for folder in [folder for top in groups(runs) for folder, _, _ in os.walk(top, topdown=False)]:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(LOOK_S / 10)
    left += ["the control group %s cannot be removed" % top for top in groups(runs)]
    left += ["%s still runs" % one for one in of_runs(runs)]
    if lock is not None:
        if not left:
            forget(runs)
        os.close(lock)
    elif runs_of(str(holder().get("out", ""))) in (runs, os.path.realpath(runs)):
        left.append("pid %s still holds %s" % (holder().get("pid"), runtime()))
    return left


if __name__ == "__main__":
    runs_folder, *look = sys.argv[1:]
    answer = {"left": list(map(str, of_runs(runs_folder)))} if look else end(os.path.abspath(runs_folder))
    sys.stdout.write(json.dumps(answer) + "\n")
