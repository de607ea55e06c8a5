"""The options that every command takes, added to its signature in one place."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lab.cli import flags
from lab.model.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Output format and folders; the same for every command."""

    json: bool = False
    plain: bool = False
    quiet: bool = False
    verbose: bool = False
    home: Path | None = None
    config: Path | None = None


_COMMON: dict[str, Any] = {
    "json": Annotated[bool, typer.Option("--json", help="Print JSON; of long work one record per line.")],
    "plain": Annotated[bool, typer.Option("--plain", help="Print plain lines: no colour, no live display.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result, warnings and errors.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Also print the output of the tools.")],
    "home": Annotated[Path | None, typer.Option("--home", envvar="LAB_HOME", help="Folder for all of lab's data.")],
    "config": Annotated[Path | None, typer.Option("--config", help="Project file (default: ./lab.yaml).")],
}


class Light:
    """Skips conversions that change nothing: typer loads pydantic for them, which takes 0.2 s."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the class that is beside it
        for parameter in found:
            if not isinstance(parameter.process_value, functools.partial):
                parameter.process_value = functools.partial(_process, parameter, parameter.process_value)
        return found


class Group(Light, TyperGroup):
    """All of lab's verbs."""


class LabCommand(Light, TyperCommand):
    """A command that refuses empty values: they come from unset shell variables and mean neither "any" nor "here"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # arguments for a command in the machine pass unchanged; an optional list of words is not such a command
        passes = any(parameter.nargs == -1 and parameter.required for parameter in self.params)
        before = ""
        for word in itertools.takewhile(lambda word: word != "--", args):
            option, given, value = word.partition("=")
            if given and option.startswith("--"):
                before, word = option, value  # noqa: PLW2901 - the value is checked
            if not word.strip() and (before.startswith("-") or not passes):
                what = f"{before} has an empty value" if before.startswith("-") else "an argument is empty"
                raise UsageError(f"lab {ctx.info_name}: {what}", fix="leave it out, or give a value")
            before = word
        return super().parse_args(ctx, args)


def _process(parameter: Any, convert: Callable[..., object], ctx: Any, value: Any) -> object:
    """A parameter's value; typer converts or refuses it where plain text is not enough."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind == list[str] and isinstance(value, tuple) and value:
        value = list(value)
    elif kind in (Path, Path | None) and isinstance(value, str) and os.access(value, os.R_OK):
        value = Path(value)
    elif not (kind in (str, str | None) and isinstance(value, str)):
        absent = value is None and parameter.nargs == 1 and not (parameter.multiple or parameter.required)
        if not absent:
            return convert(ctx, value)
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


def first_sentence(function: Callable[..., object]) -> str:
    """The line of a command in `lab --help`; passed as short_help, so that typer does not cut it."""
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return paragraph.partition(". ")[0].rstrip(".").replace("\n", " ") + "."


def verb(
    app: typer.Typer, name: str, *, takes: Sequence[str] = (), **settings: Any
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Register a command whose first parameter is `Options` and which returns an exit code.

    takes: config keys that are flags of it; the command gets key -> value in its parameter `wanted`.
    """

    def register(function: Callable[..., int]) -> Callable[..., None]:
        hints = typing.get_type_hints(function, include_extras=True)
        given = list(inspect.signature(function).parameters.values())[1:]
        own = [p.replace(annotation=hints[p.name]) for p in given if p.name != "wanted"]
        by_place = hints.get("name") == flags.Name  # such a verb takes --name too, as all others do
        own += [inspect.Parameter("at", inspect.Parameter.KEYWORD_ONLY, annotation=flags.At, default=None)] * by_place
        config_flags = {path: flags.parameter(path) for path in takes}
        own += config_flags.values()
        common = [
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=hint,
                default=None if key in ("home", "config") else False,
            )
            for key, hint in _COMMON.items()
        ]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]

        @functools.wraps(function)
        def command(**values: Any) -> None:
            options = Options(**{key: values.pop(key) for key in _COMMON})
            if config_flags:
                values["wanted"] = {path: values.pop(one.name) for path, one in config_flags.items()}
            if by_place:
                values["name"] = flags.one_name(values["name"], values.pop("at"))
            code = function(options, **values)
            if code:
                raise typer.Exit(code)

        command.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]  # read by typer
        command.__annotations__ = {p.name: p.annotation for p in [*own, *common]}
        del command.__wrapped__  # else inspect looks behind our signature
        settings.setdefault("cls", LabCommand)
        settings.setdefault("short_help", first_sentence(function))
        app.command(name, **settings)(command)
        return command

    return register
