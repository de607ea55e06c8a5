"""Merge lab.yaml, environment and flags into a frozen Config with the source of each value."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.model.config import Config, keys
from lab.model.key import Key
from lab.model.loading import typed
from lab.model.loading.yamlspec import nearest, not_one_of, out_of_range, read
from lab.model.problems import collect, problems_error

ENV_PREFIX: Final = "LAB_"
SECTIONS: Final = {one.section: type(getattr(Config(), one.section)) for one in keys().values() if one.section}
# Other programs named `lab` have variables too: only unknown names in these families are errors.
ENV_FAMILIES: Final = tuple(f"{ENV_PREFIX}{name.upper()}_" for name in SECTIONS)
TYPO: Final = 0.9  # similarity from which a name outside the families counts as a typo of one of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The config, and the source of each value ("machine.cpus" -> "project file lab.yaml")."""

    config: Config
    origin: Mapping[str, str]


def load(
    files: Mapping[str, Path],
    env: Mapping[str, str],
    flags: Mapping[str, Any],
    also: Callable[[Config], object] = lambda _: None,
) -> Loaded:
    """Merge default < user file < project file < environment < flag.

    files: source name -> path (missing files are skipped). flags: key path -> value, a list as "a,b"; None = not given.
    Raises one ConfigError with every problem of every source, and with those that `also` raises for the values read so
    far, so that a wrong key and a wrong name are reported together.
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
        one = keys()[name]
        given = _converted(one.flag, value, one, problems) if isinstance(value, str) else value
        if given is not None:
            values[name], origin[name] = given, "flag"
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
    """The valid values; appends the others to `problems`."""
    doc = read(path)
    at_top = [one.name for one in keys().values() if not one.section]
    doc.only("schema", *SECTIONS, *at_top).schema(1)
    out: dict[str, Any] = {}
    for name, one in keys().items():
        section = doc.section(one.section) if one.section else doc
        if section.has(one.name):
            before = len(doc.document.problems)
            value = typed.value(section, one)
            if len(doc.document.problems) == before:
                out[name] = value
    for name in SECTIONS:
        doc.section(name).only(*(one.name for one in keys().values() if one.section == name))
    problems += doc.document.problems
    return out


def _from_env(env: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    known = {env_name(key): key for key in keys()}
    out: dict[str, Any] = {}
    for name, raw in env.items():
        if name not in known:
            if name.startswith(ENV_FAMILIES) or _is_slip(name, known):
                problems.append(f"environment {name}: unknown{nearest(name, known)}")
            continue
        value = _converted(f"environment {name}", raw, keys()[known[name]], problems)
        if value is not None:
            out[known[name]] = value
    return out


def _is_slip(name: str, known: Mapping[str, str]) -> bool:
    return name.startswith(ENV_PREFIX) and bool(difflib.get_close_matches(name, known, n=1, cutoff=TYPO))


def _converted(where: str, raw: str, one: Key, problems: list[str]) -> Any:
    """A value from text; None for an invalid one, which is appended to `problems`."""
    try:
        return _convert(raw, one)
    except ValueError as error:
        problems.append(f"{where}: {error}")
        return None


def _convert(raw: str, one: Key) -> Any:
    """Raises ValueError."""
    if one.kind in (int, float):
        try:
            number = one.kind(raw)
        except ValueError:
            raise ValueError(f"a number is expected, not {raw if len(raw) < 40 else f'{raw[:40]}…'!r}") from None
        if fault := out_of_range(number, one.low, one.high, raw):
            raise ValueError(fault)
        return number
    if one.kind is bool:
        if raw not in ("true", "false"):
            raise ValueError(f"true or false is expected, not {raw!r}")
        return raw == "true"
    if one.kind is tuple:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if one.choices and raw not in one.choices:
        raise ValueError(not_one_of(raw, one.choices))
    return raw
