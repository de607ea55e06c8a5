"""The only importer of subprocess: run a tool to its end, or start one that outlives us.

Every tool gets `environment.of` and starts in `environment.FOLDER`, unless the caller passes others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lab.model.errors import Cancelled, LabError, PreconditionError, TransientError
from lab.system import environment, starting, tool_paths
from lab.system.pumps import MAX_OUTPUT, Budget, Gather, Pumps, Sink, no_longer_read
from lab.system.wait import Deadline

TAIL_BYTES: Final = 4000
GRACE_S: Final = 5.0
POLL_S: Final = 0.2
DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL")
# Windows has no sessions: without its own group a child gets our Ctrl-C, and without the second flag it opens a console
# window.
if sys.platform == "win32":
    CHILD_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
else:
    CHILD_FLAGS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a command: `code` (negative: killed by that signal) and its output."""

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
        """The end of its stderr, else of its stdout, for an error's detail."""
        output = self.stderr.strip() or self.stdout.strip()
        return output[-TAIL_BYTES:].decode("utf-8", "replace")


def die_with_parent(argv: Sequence[str]) -> list[str]:
    """`argv`, killed when its parent ends, however that ends; unchanged where the system does not support that."""
    known = sys.platform == "linux" and which("setpriv") is not None
    return [*DIE_WITH_PARENT, *argv] if known else list(argv)


def program(argv: Sequence[str]) -> str:
    """The name of the tool in `argv`, without a wrapper."""
    bound = tuple(argv[: len(DIE_WITH_PARENT)]) == DIE_WITH_PARENT
    return Path(argv[len(DIE_WITH_PARENT) if bound else 0]).name


def which(name: str) -> Path | None:
    """The path of a tool: on PATH, else in the system's folders for it; never in the current folder."""
    return _find(name, environment.path())


def _find(name: str, path: str) -> Path | None:
    found = shutil.which(name, path=os.pathsep.join((path, *tool_paths.folders(tool_paths.PLATFORM, os.environ))))
    # Windows always searches the current folder first
    return Path(found) if found and Path(found).is_absolute() else None


def require_tool(name: str, *, fix: str = "") -> str:
    """The path of a tool; raises PreconditionError with `fix` (default: the install command) when it is missing."""
    found = which(name)
    if found is None:
        raise PreconditionError(f"{name} is not installed", fix=fix or tool_paths.fix(name))
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
    max_output: int = MAX_OUTPUT,
) -> Result:
    """Run to the end. `env` replaces the whole environment. `on_line` gets each line of both streams.

    The child leads its own process group; at the deadline, on cancel and beyond `max_output` bytes the group gets
    TERM, a grace period, then KILL. Raises PreconditionError (tool missing, or not to be started), TransientError
    (deadline), TooMuchOutput, Cancelled.
    """
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(log.open("ab")) if log else None
        out, err = Gather(on_line, copy), Gather(on_line, copy)
        given = None if stdin is None else (stdin,)
        code = pipe(*(argv, given, out.feed, err.feed), deadline=deadline, env=env, cwd=cwd, max_output=max_output)
        out.end()
        err.end()
    return Result(argv=tuple(argv), code=code, stdout=bytes(out.data), stderr=bytes(err.data))


def pipe(
    argv: Sequence[str],
    stdin: Iterable[bytes] | None,
    out: Sink,
    err: Sink,
    *,
    deadline: Deadline,
    max_output: int | None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """`run`, passing the streams on as they arrive; returns the exit code (negative: killed by that signal).

    `max_output` limits both outputs together; None is only for a pipe of the user's. An error of a sink ends it.
    """
    pipe_in = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    child = _begun(argv, env, cwd, stdin=pipe_in, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    budget = Budget(program(argv), max_output)
    streams = [
        (functools.partial(_read, stream), budget.of(sink), stream.close)
        for stream, sink in ((child.stdout, out), (child.stderr, err))
    ]
    pumps = Pumps(streams, lambda: _feed(child, stdin or ()), lambda: _signal_group(child.pid, signal.SIGTERM))
    try:
        _wait(child, pumps, deadline)
    finally:
        end_group(child)
        pumps.join(GRACE_S if pumps.quiet_s() else 0.0)
    return child.returncode


def check(argv: Sequence[str], *, deadline: Deadline, error: type[LabError], fix: str, **options: object) -> Result:
    """`run`, raising `error` with the end of the tool's output when it does not exit 0."""
    result = run(argv, deadline=deadline, **options)  # type: ignore[arg-type]  # passed on as given
    if not result.ok:
        raise error(f"{program(argv)} failed with exit code {result.code}", fix=fix, detail=result.tail())
    return result


def spawn_detached(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = None,
    output: int | None = None,
) -> int:
    """Start a process that outlives this one (own session, output to `log`); returns its pid. Not waited for. Raises
    PreconditionError.

    `stdin` and `output` are descriptors that replace no input and `log`.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as sink:
        taken = subprocess.DEVNULL if stdin is None else stdin
        given = sink if output is None else output
        child = _begun(argv, env, cwd, stdin=taken, stdout=given, stderr=subprocess.STDOUT)
    # reap it if it ends while we live, so that a dead child is not mistaken for a live pid
    threading.Thread(target=child.wait, daemon=True).start()
    return child.pid


def _begun(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int,
) -> subprocess.Popen[bytes]:
    """A child that leads its own session. Raises PreconditionError where it does not start."""
    try:
        return subprocess.Popen(
            _argv(argv, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment.of(argv[0]) if env is None else dict(env),
            cwd=cwd or environment.FOLDER,
            start_new_session=True,
            creationflags=CHILD_FLAGS,
        )
    except OSError as error:
        raise starting.failure(argv[0], error) from error


def _argv(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """`argv` with the full path of its program, which Windows would search in the current folder first."""
    program = argv[0]
    if Path(program).name == program:
        found = _find(program, environment.path(env))
        if found is None:
            raise starting.missing(program)
        program = str(found)
    return [program, *argv[1:]]


def passthrough(argv: Sequence[str]) -> int:
    """Run with the terminal handed over (`lab ssh`); returns its exit code."""
    return subprocess.call(list(argv))


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End every process of the child's group: TERM, a grace period, KILL."""
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
    """End a process and its descendants, where there are no process groups; Windows has no gentler way."""
    import psutil

    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _feed(child: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
    if child.stdin is None:
        return
    with no_longer_read():
        for chunk in chunks:
            child.stdin.write(chunk)
            child.stdin.flush()
    with no_longer_read():
        child.stdin.close()


def _read(stream: IO[bytes], nbytes: int) -> bytes:
    """The available data, at least a byte; holds the stream, so that its descriptor is not reused while reading."""
    return os.read(stream.fileno(), nbytes)


def _wait(child: subprocess.Popen[bytes], pumps: Pumps, deadline: Deadline) -> None:
    """Until it has ended and its output is read; orphans that keep its streams open get a grace period."""
    while not pumps.ended(0.0 if child.poll() is None else POLL_S) or child.poll() is None:
        if deadline.cancel is not None and deadline.cancel.is_set():
            raise Cancelled
        if deadline.passed():
            name = Path(str(child.args[0] if isinstance(child.args, list) else child.args)).name
            raise TransientError(f"{name} timed out", fix="run the command again")
        if child.poll() is not None and pumps.quiet_s() > GRACE_S:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(min(POLL_S, deadline.left_s()))
