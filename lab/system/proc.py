"""The only importer of subprocess: run a tool to its end, or start one that outlives us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lab.model.errors import Cancelled, LabError, PreconditionError
from lab.system import places
from lab.system.wait import Deadline

TAIL_BYTES: Final = 4000
GRACE_S: Final = 5.0
# Windows has no sessions: without a group of its own a child gets the Ctrl-C that is meant for us, and without this
# flag each one opens a console window.
if sys.platform == "win32":
    CHILD_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
else:
    CHILD_FLAGS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended: `code` (negative: killed by that signal), and what it printed."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.code == 0

    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    def tail(self) -> str:
        """The end of what it said, stderr first, for an error's detail."""
        said = self.stderr.strip() or self.stdout.strip()
        return said[-TAIL_BYTES:].decode("utf-8", "replace")


def bound(argv: Sequence[str]) -> list[str]:
    """`argv`, made to die with whoever starts it, however that ends; as it is where the system has no such means."""
    known = sys.platform == "linux" and which("setpriv") is not None
    return ["setpriv", "--pdeathsig", "KILL", *argv] if known else list(argv)


def which(name: str) -> Path | None:
    """Where a tool is: on PATH, else where this system puts it."""
    more = places.folders(places.PLATFORM, os.environ)
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *more)))
    return Path(found) if found else None


def need(name: str, *, fix: str = "") -> str:
    """The path of a tool; raises PreconditionError with `fix` (else what installs it here) where it is missing."""
    found = which(name)
    if found is None:
        raise PreconditionError(f"{name} is not installed", fix=fix or places.fix(name))
    return str(found)


def run(
    argv: Sequence[str],
    *,
    deadline: Deadline,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    on_line: Callable[[str], None] | None = None,
    log: Path | None = None,
) -> Result:
    """Run to the end. `env` replaces the whole environment when given. `on_line` sees each line of both streams.

    The child leads its own process group; at the deadline or on cancel the group gets TERM, a grace period, then KILL.
    Raises PreconditionError (tool missing), LabError (deadline, with what it had said), Cancelled.
    """
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(log.open("ab")) if log else None
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                creationflags=CHILD_FLAGS,
            )
        except FileNotFoundError as error:
            raise PreconditionError(f"{argv[0]} is not installed", fix=places.fix(argv[0])) from error
        out, err = bytearray(), bytearray()
        readers = [
            _reader(child.stdout, out, on_line, sink),
            _reader(child.stderr, err, on_line, sink),
        ]
        # in a thread of its own: a child that does not read must not hold up the deadline
        feeder = threading.Thread(target=_feed, args=(child, stdin), daemon=True)
        feeder.start()
        try:
            _wait(child, deadline)
        finally:
            end_group(child)
            for thread in (feeder, *readers):
                thread.join(GRACE_S)
        return Result(argv=tuple(argv), code=child.returncode, stdout=bytes(out), stderr=bytes(err))


def check(argv: Sequence[str], *, deadline: Deadline, error: type[LabError], fix: str, **options: object) -> Result:
    """`run`, raising `error` with the tool's last words when it does not exit 0."""
    result = run(argv, deadline=deadline, **options)  # type: ignore[arg-type]  # passed on as given
    if not result.ok:
        raise error(f"{Path(argv[0]).name} failed with exit code {result.code}", fix=fix, detail=result.tail())
    return result


def spawn_detached(
    argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> int:
    """Start a process that outlives this one (own session, output to `log`); returns its pid. Not waited for."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as sink:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            creationflags=CHILD_FLAGS,
        )
    # reap it if it ends while we live, so that a dead child is not mistaken for a live pid
    threading.Thread(target=child.wait, daemon=True).start()
    return child.pid


def passthrough(argv: Sequence[str]) -> int:
    """Run with the terminal handed over (`lab ssh`); returns its exit code."""
    return subprocess.call(list(argv))


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Leave no process of the child's group behind: TERM, a grace period, KILL."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            child.wait(GRACE_S)


def _signal_group(pid: int, number: int) -> None:
    if sys.platform == "win32":
        end_tree(pid)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_tree(pid: int) -> None:
    """End a process and all that it started, where there are no groups to signal; Windows has no gentler way."""
    import psutil

    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _feed(child: subprocess.Popen[bytes], data: bytes | None) -> None:
    if child.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(data or b"")
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()


def _wait(child: subprocess.Popen[bytes], deadline: Deadline) -> None:
    while True:
        try:
            child.wait(min(0.2, deadline.left_s()))
        except subprocess.TimeoutExpired:
            if deadline.cancel is not None and deadline.cancel.is_set():
                raise Cancelled from None
            if deadline.passed():
                name = Path(str(child.args[0] if isinstance(child.args, list) else child.args)).name
                raise LabError(f"{name} did not end in time", fix="run the same command again") from None
        else:
            return


def _reader(
    stream: IO[bytes] | None, into: bytearray, on_line: Callable[[str], None] | None, sink: IO[bytes] | None
) -> threading.Thread:
    def pump() -> None:
        if stream is None:
            return
        with stream:
            for line in stream:
                into.extend(line)
                if sink is not None:
                    sink.write(line)
                    sink.flush()
                if on_line is not None:
                    on_line(line.decode("utf-8", "replace").rstrip("\n"))

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    return thread
