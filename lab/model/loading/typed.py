"""Read a YAML mapping as a dataclass: the fields are its keys, and those without a default are required."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from lab.model.key import Key
from lab.model.loading.yamlspec import Section

T = TypeVar("T")


def build(section: Section, kind: type[T]) -> T:
    """Read it by the types of the fields; appends problems to its document."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]  # of a dataclass
    hints = typing.get_type_hints(kind)
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    section.only(*hints).require(*needed)
    given = [
        name for name in hints if name in needed or section.has(name) or (hints[name] is bool and name in section.items)
    ]
    return kind(**{name: _value(section, name, hints[name]) for name in given})


def _value(section: Section, name: str, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict:
        part = section.section(name)
        return {key: _value(part, key, args[1]) for key in part.names}
    if origin is tuple and dataclasses.is_dataclass(args[0]):
        return tuple(build(item, typing.cast("type[Any]", args[0])) for item in section.sections(name))
    if origin is tuple:
        return section.strs(name) if args[0] is str else section.lists(name)
    if dataclasses.is_dataclass(hint):
        return build(section.section(name), typing.cast("type[Any]", hint))
    return section.flag(name) if hint is bool else section.text(name)


def value(section: Section, one: Key) -> Any:
    """The value of one key, by what is known of it; problems are noted in its document."""
    if one.kind is int:
        return section.whole(one.name, low=one.low, high=one.high)
    if one.kind is float:
        return section.number(one.name, low=one.low, high=one.high)
    if one.kind is bool:
        return section.flag(one.name)
    if one.kind is tuple:
        return section.strs(one.name)
    return section.text(one.name, one_of=one.choices)
