"""The command line: one file per verb, and the only error boundary."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from lab import __version__
from lab.cli import streams
from lab.model.errors import LabError
from lab.system import environment, private


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Every failure becomes a message with a fix, here and nowhere else."""
    if _in_worker():
        return 0
    arguments = list(sys.argv[1:] if argv is None else argv)
    streams.prepare()
    for ignored in environment.settle():
        sys.stderr.write(f"warning: {ignored}\n")
    try:
        try:
            with private.begun():
                _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a failure still becomes a message
    except BaseException as error:  # noqa: BLE001 - the boundary
        code = _end(error)
        if "--json" in itertools.takewhile(lambda word: word != "--", arguments):  # behind it: another program's
            _json_end(arguments, code, error)
        return code
    return 0


def _in_worker() -> bool:
    """Whether a worker process of a command imports the program that started the command: it must not start again."""
    return "--multiprocessing-fork" in sys.orig_argv  # of each process that multiprocessing starts


def _run(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        print(f"lab {__version__}")
        return
    from lab.cli.app import build

    build(arguments)(args=arguments, prog_name="lab")


def _json_end(arguments: Sequence[str], code: int, error: BaseException) -> None:
    """The last line that programs wait for, written after a failure too; a command that ran has written its own."""
    import contextlib
    import json

    verb = next((word for word in arguments if not word.startswith("-")), "")
    if isinstance(error, SystemExit):
        failures = _mistake(error)
    else:
        failures = [{"message": one.message, "fix": one.fix} for one in _errors(error) or ()]
        failures = failures or [{"message": str(error), "fix": ""}]
    if not failures:
        return
    result = {"command": verb, "exit": code, "error": failures[0], "errors": failures}
    with contextlib.suppress(OSError):  # the disk that is full may be the one stdout goes to
        print(json.dumps({"result": result}), flush=True)


def _mistake(error: SystemExit) -> list[dict[str, str]]:
    """What typer found wrong with the command line and has printed; empty for any other end."""
    message = getattr(error.__context__, "format_message", None)  # typer's own copy of click has no public name
    if message is None:
        return []
    path = getattr(getattr(error.__context__, "ctx", None), "command_path", "lab")
    return [{"message": message(), "fix": f"{path} --help"}]


def _end(error: BaseException) -> int:
    """The exit code for whatever ended the command; prints the failure where there is one."""
    match error:
        case SystemExit(__context__=OSError() as cause) if _nobody_reads(cause):
            return 0
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(bool(error.code))
        case KeyboardInterrupt():
            return 130
        case OSError() if _nobody_reads(error):
            return 0
    errors = _errors(error)
    return _bug(error) if errors is None else _tell(errors)


def _errors(error: BaseException) -> list[LabError] | None:
    """What a person can act on, of a group each one; None where any of it is a bug."""
    match error:
        case LabError():
            return [error]
        case BaseExceptionGroup():
            found = [_errors(one) for one in error.exceptions]
            told = [one for one in found if one is not None]
            return list(itertools.chain(*told)) if len(told) == len(found) else None
        case OSError() if (of_host := _of_this_host(error)) is not None:
            return [of_host]
        case _:
            return None


def _nobody_reads(error: OSError) -> bool:
    from lab.render.jsonl import gone

    return gone(error)


def _of_this_host(error: OSError) -> LabError | None:
    """What a person can do about a disk or folder of this host that cannot be used; None for any other error."""
    from lab.model.errors import PreconditionError
    from lab.system import host_faults

    if error.filename == streams.STDOUT:
        fix = "redirect stdout to a file or pipe that can be written"
        return PreconditionError(f"{error.filename}: {error.strerror}", fix=fix)
    return host_faults.failure(error)


def _tell(errors: list[LabError]) -> int:
    """Print message, cause, detail, fix and log of each error. The exit code is the first error's."""
    from lab.cli import session

    for error in errors:
        lines = [f"error: {error.message}"]
        cause = error.__cause__
        if cause is not None and str(cause) and str(cause) not in error.message:
            lines.append(f"cause: {type(cause).__name__}: {cause}")
        if error.detail:
            lines += [f"  | {line}" for line in error.detail.strip().splitlines()[-25:]]
        lines.append(f"fix:   {error.fix}")
        if error.log:
            lines.append(f"log:   {error.log}")
        sys.stderr.write("\n".join(lines) + "\n")
    code = errors[0].exit_code
    if code == 130 and session.received:
        return 128 + session.received[0]
    return code


def _bug(error: BaseException) -> int:
    """An unexpected exception: write the traceback to a file, one line to stderr."""
    import os
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    if os.environ.get("LAB_DEBUG"):
        sys.stderr.write(text)
    fd, path = tempfile.mkstemp(prefix="lab-bug-", suffix=".txt")
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    sys.stderr.write(
        f"error: this is a bug in lab: {type(error).__name__}: {error}\nfix:   report it with {path}\nlog:   {path}\n"
    )
    return 1
