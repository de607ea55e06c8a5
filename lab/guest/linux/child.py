"""Our child processes: started in the group of their role, pinned, logged, reaped with their usage, always ended."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.guest.linux import ending
from lab.guest.linux.accounts import Accounts
from lab.guest.linux.gc_log import GcLog, without_reports
from lab.guest.linux.procfs import boot_id, session, start_ticks

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
TAIL_BYTES = 4000
REPORTS = 10  # so many times as much is read where reports of collections lie between
LOGS_DIR = "logs"  # separate from the files that a child writes into its folder
WORD_LINES, WORD_CHARS = 6, 400


@dataclass
class Child:
    """A running or ended child. code: None while it runs, negative: ended by that signal."""

    name: str
    role: str
    process: subprocess.Popen[bytes]
    accounts: Accounts
    out: Path
    log: Path
    code: int | None = None
    rss_peak_mib: float = 0.0
    gc_log: GcLog = field(init=False)

    def __post_init__(self) -> None:
        self.gc_log = GcLog(self.log)

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """Reap when ended."""
        if self.code is not None:
            return self.code
        pid, status, use = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self.process.returncode = self.code
        self.rss_peak_mib = use.ru_maxrss / 1024.0
        self.accounts.reaped(self.role, self.pid, use.ru_utime, use.ru_stime)
        _signal_all(session(self.pid), signal.SIGKILL)  # its descendants must not outlive a service
        return self.code

    def ended(self) -> str:
        """How it ended, as text; "" while it runs."""
        code = self.poll()
        if code is None:
            return ""
        how = "killed by signal %d" % -code if code < 0 else "exited with code %d" % code
        return "%s %s" % (self.name, how)

    def stop(self, deadline_s: float, *, gently: bool = True) -> int:
        """SIGTERM, then SIGKILL at the deadline; idempotent."""
        ends = time.monotonic() + deadline_s
        if gently:
            self._signal(signal.SIGTERM)
        while self.poll() is None and time.monotonic() < ends:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        while self.poll() is None:
            time.sleep(0.02)
        return self.code or 0

    def kill(self) -> None:
        """SIGKILL at once; idempotent."""
        self.stop(0.0, gently=False)

    def _signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def said(self) -> str:
        """The end of its stderr, without what Go's runtime reports there."""
        text = tail(self.log, TAIL_BYTES * REPORTS)
        if len(text) >= TAIL_BYTES * REPORTS:
            text = text.partition("\n")[2] or text  # the first line was cut
        return without_reports(text)[-TAIL_BYTES:]

    def last_words(self) -> str:
        """The ends of its stderr and stdout, for a message; "" when both are empty."""
        ends = {"stderr": self.said(), "stdout": tail(self.out)}
        written = {name: last_lines(text) for name, text in ends.items()}
        return "; ".join("%s wrote to %s: %s" % (self.name, name, text) for name, text in written.items() if text)

    def lines(self) -> list[str]:
        """Complete lines of its stdout."""
        text = self.out.read_text(encoding="utf-8", errors="replace")
        return text.split("\n")[:-1]


def last_lines(text: str) -> str:
    """The last non-empty lines, joined; from a Go panic on, where there is one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    crash = next((i for i in reversed(range(len(lines))) if lines[i].startswith(("panic: ", "fatal error: "))), None)
    if crash is not None:
        return " | ".join(lines[crash : crash + WORD_LINES])[:WORD_CHARS]
    return " | ".join(lines[-WORD_LINES:])[-WORD_CHARS:]


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


@dataclass
class ChildProcesses:
    """Starts children and adds them to the register of the host, so that a later start can end those left over."""

    accounts: Accounts
    out: Path
    processes: list[Child] = field(default_factory=list)

    def spawn(
        self,
        name: str,
        role: str,
        argv: Sequence[str],
        env: dict[str, str],
        work: Path,
        *,
        cpus: str = "",
        death_signal: int = signal.SIGKILL,
        output: int | None = None,
    ) -> Child:
        """Start `argv` in `work`; stdout and stderr go to NAME.out and NAME.log of its logs. Raises OSError.

        output: a file descriptor that gets its stdout instead.
        """
        enter = self.accounts.entry(role)
        pinned = cpu_set(cpus)
        parent = os.getpid()

        def prepare() -> None:
            os.setsid()
            _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(127)
            if pinned:
                os.sched_setaffinity(0, pinned)
            enter()

        logs, stem = work / LOGS_DIR, re.sub(r"[^A-Za-z0-9._+-]", "_", name)
        logs.mkdir(exist_ok=True)
        out, log = logs / (stem + ".out"), logs / (stem + ".log")
        with open(out, "wb") as stdout, open(log, "ab") as stderr:
            process = subprocess.Popen(
                list(argv),
                env=env,
                cwd=str(work),
                stdin=subprocess.DEVNULL,
                stdout=stdout if output is None else output,
                stderr=stderr,
                preexec_fn=prepare,
            )
        child = Child(name=name, role=role, process=process, accounts=self.accounts, out=out, log=log)
        self.accounts.started(role, child.pid)
        self.processes.append(child)
        runs = os.path.realpath(ending.runs_of(str(self.out)))
        row = {"pid": child.pid, "ticks": start_ticks(child.pid), "boot": boot_id(), "name": name, "runs": runs}
        os.makedirs(ending.runtime(), mode=0o700, exist_ok=True)
        with open(os.path.join(ending.runtime(), ending.REGISTER), "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return child

    def stop_all(self, deadline_s: float) -> None:
        """End all running children, agents first, then in reverse order of start."""
        running = [c for c in self.processes if c.poll() is None]
        for child in sorted(running, key=lambda c: (c.role != "agent", -self.processes.index(c))):
            child.stop(deadline_s)
        self.processes.clear()


def _signal_all(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def cpu_set(text: str) -> set[int]:
    """ "0-1,3" as a set of CPU numbers; "" is the empty set."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found
