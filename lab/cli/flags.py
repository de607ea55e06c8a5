"""Flags that several verbs share: those of config keys, made from the key, and a few more."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lab.model.config import keys
from lab.model.errors import UsageError

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the machine (default: from the config).")]
At = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the machine.")]
Service = Annotated[Path | None, typer.Option("--service", help="Folder of your own Go service, with service.yaml.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")]
ShowName = Annotated[
    str | None, typer.Argument(metavar="SHOW", help="Name of a show, or path of a show file (default: four-pillars).")
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="Shorter slot: one of the show's cuts.", min=0.1)
]  # fmt: skip
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the audience page.")]
BrowserIfAsked = Annotated[
    bool | None, typer.Option("--browser/--no-browser", help="Open the audience page (default: with --keys).")
]
PagePort = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page (default: a free one).")]
SingleScreen = Annotated[bool, typer.Option("--single-screen", help="No notes: the audience sees this screen.")]
RECORDED_HELP = "Run, show with takes (SHOW or SHOW/BEAT), or file (default: the newest run)."
Recorded = Annotated[str | None, typer.Argument(metavar="RECORDING", help=RECORDED_HELP)]
RUN_HELP = "Run id or its beginning (default: the newest)."
Run = Annotated[str | None, typer.Argument(metavar="RUN", help=RUN_HELP)]

_FLAGS: Final = [path for path, one in keys().items() if one.flag]
LOCK: Final = "lock_timeout_s"
MACHINE: Final = (*(path for path in _FLAGS if path.startswith("machine.")), LOCK)
"""The config keys of every verb that may make a machine."""
DEMO: Final = tuple(path for path in _FLAGS if path.startswith("demo."))


def parameter(path: str) -> inspect.Parameter:
    """The flag of a config key, as typer reads it; its value is None when not given."""
    one = keys()[path]
    number = {"min": one.low, "max": one.high} if one.kind in (int, float) else {}
    option = typer.Option(one.flag, metavar=one.metavar, help=f"{one.help}.", **number)  # type: ignore[arg-type]
    hint: Any = Annotated[(str if one.kind is tuple else one.kind) | None, option]
    return inspect.Parameter(path.replace(".", "_"), inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=None)


def one_name(by_place: str | None, option: str | None) -> str | None:
    """A machine's name, given in one of two ways. Raises UsageError for two machines."""
    if by_place is not None and option is not None and by_place != option:
        raise UsageError(f"two machine names given: {by_place} and --name {option}", fix="give one name")
    given = option if by_place is None else by_place
    if given == "":
        raise UsageError("invalid machine name ''", fix="leave it out, or use up to 40 of a-z, 0-9 and -")
    return given
