"""lab.yaml, environment and flags to a frozen Config; each value knows its source."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.model.config import Config, DemoConfig, MachineConfig
from lab.model.errors import ConfigError
from lab.model.loading.yamlspec import Section, nearest, read
from lab.model.problems import collect, problems_error

ENV_PREFIX: Final = "LAB_"
SECTIONS: Final[dict[str, type[Any]]] = {"machine": MachineConfig, "demo": DemoConfig}
# Other programs are called `lab` too, and have variables of their own: only these families are ours whole.
ENV_FAMILIES: Final = tuple(f"{ENV_PREFIX}{name.upper()}_" for name in SECTIONS)
TYPO: Final = 0.9  # how like a variable of ours a name outside of the families must be to be taken for a slip
SOURCES: Final = ("default", "user file", "project file", "environment", "flag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The config, and where each key's value came from ("machine.cpus" -> "project file lab.yaml")."""

    config: Config
    origin: Mapping[str, str]


def keys() -> dict[str, tuple[type[Any], dataclasses.Field[Any]]]:
    """Every key by its path ("machine.cpus"), with the dataclass that owns it."""
    out: dict[str, tuple[type[Any], dataclasses.Field[Any]]] = {}
    for item in dataclasses.fields(Config):
        if item.name in SECTIONS:
            owner = SECTIONS[item.name]
            out.update({f"{item.name}.{f.name}": (owner, f) for f in dataclasses.fields(owner)})
        else:
            out[item.name] = (Config, item)
    return out


def load(
    files: Mapping[str, Path],
    env: Mapping[str, str],
    flags: Mapping[str, Any],
    also: Callable[[Config], object] = lambda _: None,
) -> Loaded:
    """Merge default < user file < project file < environment < flag.

    files: source name -> path (missing files are skipped). flags: key path -> value, None = not given.
    Raises ConfigError with every problem of every source in one message; with those that `also` raises for the values
    that could be read, so that a wrong key here and a wrong name there are reported together.
    """
    values: dict[str, Any] = {}
    origin = dict.fromkeys(keys(), "default")
    problems: list[str] = []
    for source, path in files.items():
        if os.path.lexists(path):
            found = collect(lambda p=path: _from_file(p, problems), problems)  # type: ignore[misc]  # default binds now
            for name, value in (found or {}).items():
                values[name], origin[name] = value, f"{source} {path}"
    for name, value in _from_env(env, problems).items():
        values[name], origin[name] = value, f"environment {env_name(name)}"
    for name, value in flags.items():
        if value is not None:
            values[name], origin[name] = value, "flag"
    if problems:
        collect(lambda: also(_build(values)), problems)
        raise problems_error(problems)
    return Loaded(config=_build(values), origin=origin)


def env_name(key: str) -> str:
    """machine.memory_mib -> LAB_MACHINE_MEMORY_MIB."""
    return ENV_PREFIX + key.upper().replace(".", "_")


def _build(values: Mapping[str, Any]) -> Config:
    parts: dict[str, Any] = {}
    for name, cls in SECTIONS.items():
        prefix = f"{name}."
        parts[name] = cls(**{k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)})
    return Config(**parts, **{k: v for k, v in values.items() if "." not in k})


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    """The values that are right; what is wrong joins `problems`."""
    doc = read(path)
    known = keys()
    doc.only("schema", *(f.name for f in dataclasses.fields(Config))).schema(1)
    out: dict[str, Any] = {}
    for name, (owner, item) in known.items():
        section = doc if "." not in name else doc.section(name.split(".", maxsplit=1)[0])
        if section.has(item.name):
            before = len(doc.document.problems)
            value = _read(section, item.name, _hint(owner, item))
            if len(doc.document.problems) == before:
                out[name] = value
    for name, cls in SECTIONS.items():
        doc.section(name).only(*(f.name for f in dataclasses.fields(cls)))
    problems += doc.document.problems
    return out


def _hint(owner: type[Any], item: dataclasses.Field[Any]) -> Any:
    return typing.get_type_hints(owner)[item.name]


def _read(section: Section, name: str, hint: Any) -> Any:
    if hint is int:
        return section.whole(name, low=0)
    if hint is float:
        return section.number(name, low=0)
    if hint is bool:
        return section.flag(name)
    if typing.get_origin(hint) is tuple:
        return section.strs(name)
    return section.text(name)


def _from_env(env: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    known = {env_name(key): key for key in keys()}
    out: dict[str, Any] = {}
    for name, raw in env.items():
        if name not in known:
            if name.startswith(ENV_FAMILIES) or _is_slip(name, known):
                problems.append(f"environment {name}: unknown{nearest(name, known)}")
            continue
        owner, item = keys()[known[name]]
        try:
            out[known[name]] = convert(raw, _hint(owner, item))
        except ConfigError as error:
            problems.append(f"environment {name}: {error.message}")
    return out


def _is_slip(name: str, known: Mapping[str, str]) -> bool:
    return name.startswith(ENV_PREFIX) and bool(difflib.get_close_matches(name, known, n=1, cutoff=TYPO))


def convert(raw: str, hint: Any) -> Any:
    """A value given as text (environment). Raises ConfigError."""
    try:
        if hint in (int, float):
            number: float = hint(raw)
            if not 0 <= number < math.inf:  # nan too
                raise ConfigError(f"{raw} is out of range (at least 0)", fix="correct the value")
            return number
    except ValueError as error:
        shown = raw if len(raw) < 40 else f"{raw[:40]}…"
        raise ConfigError(f"a number is expected, not {shown!r}", fix="correct the value") from error
    if hint is bool:
        if raw not in ("true", "false"):
            raise ConfigError(f"true or false is expected, not {raw!r}", fix="correct the value")
        return raw == "true"
    if typing.get_origin(hint) is tuple:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw
