"""An event whose texts steer no terminal: programs, show files and services write them."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from lab.model.printed import harmless

T = TypeVar("T")


def cleaned(event: T) -> T:
    """The event with every text in it made harmless; the same one where all are."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(event)  # type: ignore[arg-type]  # a dataclass
    old = {one.name: getattr(event, one.name) for one in fields}
    new = {name: changed for name, value in old.items() if (changed := _clean(value)) is not value}
    return dataclasses.replace(event, **new) if new else event  # type: ignore[type-var]  # a dataclass


def _clean(value: Any) -> Any:
    """The same object where nothing in it changes."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, tuple):
        made = tuple(map(_clean, value))
        return made if any(one is not old for one, old in zip(made, value, strict=True)) else value
    if isinstance(value, dict):
        texts = {name: _clean(one) for name, one in value.items()}
        return texts if any(one is not value[name] for name, one in texts.items()) else value
    return cleaned(value) if dataclasses.is_dataclass(value) else value
