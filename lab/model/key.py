"""A key of lab.yaml: one field of a config dataclass, and everything derived from it.

To add a key, add one field, such as `clock: Literal["auto", Clock] = key("auto", "Clock of the machine")`. Its type
defines the allowed values, its name the unit, the flag (`--clock`) and the variable (`LAB_MACHINE_CLOCK`).
The loader, the flags, `lab config`, its sample and its JSON Schema read it from there. Refresh the reference with
`lab config --sample > docs/reference/lab.yaml` and `lab config --schema > docs/reference/lab.schema.json`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.model import units


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The description of one key. `flag`: "" where it has none; `choices`: every allowed text, () for any."""

    path: str  # "machine.cpus"
    name: str
    kind: type  # bool, int, float, str or tuple (of texts)
    default: Any
    help: str
    flag: str
    metavar: str | None
    low: float
    high: float | None
    choices: tuple[str, ...]

    @property
    def section(self) -> str:
        """ "machine"; "" for a key at the top of the file."""
        return self.path.rpartition(".")[0]


def key(default: Any, text: str, *, flag: str | None = None, **more: Any) -> Any:
    """A field with its default and its help; `more`: metavar of the flag, low and high of a number.

    Without `flag` it follows from the name; "" means none.
    """
    about = {"metavar": None, "low": 0, "high": None} | more
    return dataclasses.field(default=default, metadata={"help": text, "flag": flag, **about})


def walk(config: type[Any], section: str = "") -> Iterator[Key]:
    """Every key of a config dataclass and its nested ones, in order."""
    hints = typing.get_type_hints(config)
    for item in dataclasses.fields(config):
        hint, about = hints[item.name], dict(item.metadata)
        if dataclasses.is_dataclass(hint):
            yield from walk(typing.cast("type[Any]", hint), f"{item.name}.")
            continue
        suffix, unit = units.of(item.name)
        choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
        about["help"] += (f", {unit}" if unit else "") + (f" ({', '.join(choices)})" if choices else "")
        if about["flag"] is None:
            about["flag"] = f"--{item.name.removesuffix(suffix).replace('_', '-')}"
        kind = str if choices else typing.get_origin(hint) or hint
        yield Key(path=section + item.name, name=item.name, kind=kind, default=item.default, choices=choices, **about)
