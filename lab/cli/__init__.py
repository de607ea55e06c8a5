"""The command line: one file per verb, and the only error boundary."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab import __version__
from lab.cli import streams
from lab.model.errors import LabError
from lab.system import environment, private


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Every failure becomes a message with a fix, here and nowhere else."""
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
        if "--json" in arguments and not isinstance(error, SystemExit):
            _json_end(arguments, code, error)
        return code
    return 0


def _run(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        print(f"lab {__version__}")
        return
    from lab.cli.app import build

    build(arguments)(args=arguments, prog_name="lab")


def _json_end(arguments: Sequence[str], code: int, error: BaseException) -> None:
    """The last line that programs wait for, also when it went wrong."""
    import contextlib
    import json

    words = [word for word in arguments if not word.startswith("-")]
    told = {"message": str(error), "fix": error.fix if isinstance(error, LabError) else ""}
    with contextlib.suppress(OSError):  # a full disk cannot be told on that disk
        print(json.dumps({"result": {"command": words[0] if words else "", "exit": code, "error": told}}), flush=True)


def _end(error: BaseException) -> int:
    """The exit code of whatever ended the command, told where it has to be."""
    match error:
        case SystemExit(__context__=OSError() as cause) if _nobody_reads(cause):
            return 0
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(bool(error.code))
        case LabError():
            return _tell([error])
        case BaseExceptionGroup():
            errors, rest = _flatten(error)
            return _bug(error) if rest else _tell(errors)
        case KeyboardInterrupt():
            return 130
        case OSError() if _nobody_reads(error):
            return 0
        case OSError() if (fix := _of_this_host(error)) is not None:
            from lab.model.errors import PreconditionError

            return _tell([PreconditionError(f"{_place(error) or 'writing'}: {error.strerror}", fix=fix)])
        case _:
            return _bug(error)


def _nobody_reads(error: OSError) -> bool:
    from lab.render.jsonl import gone

    return gone(error)


def _of_this_host(error: OSError) -> str | None:
    """What helps against a disk or a folder that is not as it must be; None for everything else."""
    import errno

    if error.filename == streams.STDOUT:
        return "send the output to a place that takes it"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free disk space (lab cache prune), or give --home DIR on a larger disk; then run the command again"
        case errno.EROFS | errno.EACCES | errno.ENOTDIR | errno.ENAMETOOLONG:
            return "give another --home DIR, or the right to write there"
        case errno.EISDIR | errno.ELOOP | errno.EEXIST | errno.ENOTEMPTY if (place := _place(error)) is not None:
            return f"remove {place}, which is in the way; then run the command again"
    return None


def _place(error: OSError) -> object:
    """The file that the error is about: where something is moved, what it is moved to."""
    return error.filename if error.filename2 is None else error.filename2


def _flatten(group: BaseExceptionGroup[BaseException]) -> tuple[list[LabError], list[BaseException]]:
    ours: list[LabError] = []
    rest: list[BaseException] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            more, other = _flatten(error)
            ours += more
            rest += other
        elif isinstance(error, LabError):
            ours.append(error)
        else:
            rest.append(error)
    return ours, rest


def _tell(errors: list[LabError]) -> int:
    """What and where, cause, fix, log: for each. The exit code is the first error's."""
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
    """Not foreseen: the traceback goes to a file, one line to the screen."""
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
