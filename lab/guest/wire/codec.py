"""Wire values to plain JSON and back, checked."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from typing import Any, TypeVar, Union

T = TypeVar("T")
UNIONS = (Union, getattr(types, "UnionType", Union))  # `int | None` is of the second kind, from Python 3.10 on


class WireError(ValueError):
    """A document from the other half is not what it claims to be; the text names the place."""


def encode(value: Any) -> Any:
    """Dataclasses to plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def canonical(value: Any) -> bytes:
    """One byte string per value, for digests."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode(cls: type[T], doc: Any, where: str = "") -> T:
    """Read `cls` from plain JSON values; raises WireError naming the place."""
    if not isinstance(doc, dict):
        raise WireError(f"{where or cls.__name__}: an object is expected, not {type(doc).__name__}")
    hints = _hints(cls)  # type: ignore[arg-type]  # every class is hashable
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        place = f"{where}.{item.name}" if where else item.name
        if item.name in doc:
            values[item.name] = _read(hints[item.name], doc[item.name], place)
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise WireError(f"{place}: missing")
    return cls(**values)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Resolving them anew for each of a hundred thousand spans would take minutes."""
    return typing.get_type_hints(cls)


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in UNIONS:
        return None if value is None else _read(next(a for a in args if a is not type(None)), value, where)
    if origin is tuple:
        _need(value, list, where)
        return tuple(_read(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        _need(value, dict, where)
        return {str(k): _read(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return decode(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if hint is int and isinstance(value, bool):
        raise WireError(f"{where}: a number is expected, not a boolean")
    _need(value, hint, where)
    if hint is float and not math.isfinite(value):
        raise WireError(f"{where}: a finite number is expected, not {value}")
    return value


def _need(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, kind):
        raise WireError(f"{where}: {kind.__name__} is expected, not {type(value).__name__}")


def dump(value: Any) -> str:
    """JSON text of a wire value, one line."""
    return json.dumps(encode(value), ensure_ascii=False, sort_keys=True)


def load(cls: type[T], text: Union[str, bytes]) -> T:
    """`decode` of JSON text."""
    try:
        doc = parse(text)
    except ValueError as error:
        raise WireError(f"{cls.__name__}: not JSON ({error})") from error
    return decode(cls, doc)


def parse(text: Union[str, bytes]) -> Any:
    """Plain values of JSON that can be written again: no NaN, no half characters. Raises ValueError."""
    try:
        doc = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if (b"\\ud" if isinstance(text, bytes) else "\\ud") in text:  # type: ignore[operator]  # of the same kind
        json.dumps(doc, ensure_ascii=False).encode()
    return doc


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
