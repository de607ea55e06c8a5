"""One command's life: config, paths, events to screen and log, Ctrl-C."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TextIO

from lab.cli.options import Options
from lab.model.config import Config
from lab.model.errors import LabError
from lab.model.events import Bus, Record
from lab.model.lab import Lab
from lab.model.loading.load_config import Loaded, load
from lab.model.paths import Paths
from lab.render import choose, screen
from lab.system import private

Check = Callable[[Config], object]

NAMES_NONE = ("down", "status")  # without a name: `down` removes every default machine, `status` shows every machine

# set by the first signal, read by main for the exit code
received: list[int] = []


def home(options: Options) -> Path:
    """LAB_HOME: the flag or variable, else the user data folder of this system."""
    if options.home is not None:
        try:
            place = options.home.expanduser().absolute()
            if place.is_symlink() and not place.exists():
                raise OSError(f"{place} is a dangling symbolic link")
        except (OSError, RuntimeError) as error:  # no such user; a deleted current folder; a loop of links
            from lab.model.errors import UsageError

            raise UsageError(f"--home {options.home}: {error}", fix="set --home DIR to a folder") from error
        return place
    import platformdirs

    place = Path(platformdirs.user_data_dir("invisible-lab", appauthor=False))
    if not place.is_absolute():  # no HOME, and no entry in the passwd database
        from lab.model.errors import PreconditionError

        raise PreconditionError("this user has no home folder: HOME is not set", fix="set HOME or --home DIR")
    return place


def load_config(options: Options, flags: Mapping[str, Any], also: Check = lambda _: None) -> Loaded:
    """The config of this command. Raises ConfigError, which also has what `also` finds in a config that is wrong."""
    project = options.config or Path("lab.yaml")
    files = {"user file": home(options) / "config.yaml", "project file": project}
    if options.config is not None and not options.config.is_file():
        from lab.model.errors import ConfigError

        what = "is not a file" if os.path.lexists(options.config) else "does not exist"
        raise ConfigError(f"{options.config} {what}", fix=f"create {options.config} or leave out --config")
    return load(files, os.environ, flags, also)


@contextlib.contextmanager
def session(
    options: Options, name: str, flags: Mapping[str, Any] | None = None, also: Check = lambda _: None
) -> Iterator[Lab]:
    """A `Lab` with its event bus drawn on the screen and logged to LAB_HOME/logs; signals set its `cancel`."""
    loaded = load_config(options, flags or {}, also)
    paths = Paths(home=home(options))
    private.ensure(paths.home)
    cancel = threading.Event()
    bus = Bus()
    lab = Lab(config=loaded.config, paths=paths, bus=bus, cancel=cancel)
    if "machine.name" in (flags or {}) and not lab.config.machine.name and name not in NAMES_NONE:
        lab = _named(lab, makes="machine.provider" in (flags or {}))
    view = choose(json=options.json, plain=options.plain, quiet=options.quiet)
    with contextlib.ExitStack() as stack:
        bus.add(stack.enter_context(screen(view, verbose=options.verbose)))
        log = log_path(paths, name)
        bus.add(stack.enter_context(LogFile(log)))
        stack.enter_context(_signals(lab))
        try:
            yield lab
        except BaseException as error:
            if isinstance(error, LabError) and error.log is None and log.exists():
                error.log = str(log)  # `main` prints this path with the error
            raise


def _named(lab: Lab, *, makes: bool) -> Lab:
    """The lab with the default machine's name; makes: the verb may create that machine."""
    from lab.machines import naming

    name = naming.wanted(lab) if makes else naming.there(lab)
    return replace(lab, config=replace(lab.config, machine=replace(lab.config.machine, name=name)))


def answer(options: Options, doc: Mapping[str, Any], text: str) -> None:
    """Print the command's result to stdout: one JSON document or text; nothing when stdout is closed."""
    if sys.stdout is None:  # closed by the caller
        return
    from lab.model.printed import harmless
    from lab.render import jsonl

    try:
        if options.json:
            print(jsonl.dumps(doc, sys.stdout, sort_keys=True))
        elif text:
            print(harmless(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()
    except OSError as error:
        if not jsonl.gone(error):
            raise
        # else the interpreter writes the buffer again at exit and prints the error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def result_line(options: Options, doc: Mapping[str, Any], text: str) -> None:
    """The last line of long work: `{"result": …}` under --json, else text."""
    answer(options, {"result": dict(doc)} if options.json else doc, text)


def log_path(paths: Paths, name: str) -> Path:
    now = dt.datetime.now(dt.UTC)
    return paths.logs / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}-{name}.jsonl"


class LogFile:
    """Writes every record as one JSON line; created by the first record, so that read-only commands leave no file.

    When it cannot be written, the command continues without it after one warning: on a full disk `lab down` must work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written is tried again
                self._file.close()

    def __call__(self, record: Record) -> None:
        if self._failed:
            return
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._failed = True
            place = error.filename or self.path
            sys.stderr.write(f"warning: cannot write the log of this command: {place}: {error.strerror}\n")

    def _opened(self) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # a file's name that is not UTF-8 is text with lone surrogates: JSON can write those as \uXXXX
        return os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace", newline="\n")


@contextlib.contextmanager
def _signals(lab: Lab) -> Iterator[None]:
    """The first Ctrl-C stops at the next safe point, the second at once."""

    def on_signal(number: int, _frame: object) -> None:
        if received:
            sys.stderr.write("\nlab: stopped; run the command again to continue\n")
            sys.stderr.flush()
            os._exit(128 + number)
        received.append(number)
        lab.cancel.set()
        sys.stderr.write("\nlab: stopping at the next safe point (press Ctrl-C again to stop now)\n")
        sys.stderr.flush()

    numbers = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
