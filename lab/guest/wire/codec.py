"""Wire values to plain JSON and back. `load` is the only reader: it parses JSON text, then checks it by type."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional, TypeVar, Union

from lab.guest.wire.checked import LIMITS, Limits, WireError, checker

T = TypeVar("T")


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


def dump(value: Any) -> str:
    """JSON text of a wire value, one line."""
    return json.dumps(encode(value), ensure_ascii=False, sort_keys=True)


def decode(hint: type[T], doc: Any) -> T:
    """Read a value of the type `hint` (a dataclass, `dict[str, int]`, …) from plain JSON values. Raises WireError."""
    value: T = checker(hint)(doc)  # type: ignore[arg-type]  # every type is hashable
    return value


def load(hint: type[T], text: Union[str, bytes], limits: Limits = LIMITS) -> T:
    """`decode` of JSON text. Raises WireError with line and column where the text is not JSON."""
    return decode(hint, parse(text, limits))


def parse(text: Union[str, bytes], limits: Limits = LIMITS) -> Any:
    """Plain values of JSON text: UTF-8, no key twice, no NaN, not beyond `limits`. Raises WireError."""
    if len(text) > limits.size:
        raise WireError("larger than %d bytes" % limits.size)
    plain = _decoded(text) if isinstance(text, bytes) else text
    # each value follows a comma or an opening bracket: counted before they take memory
    if plain.count(",") + plain.count("[") + plain.count("{") > limits.values:
        raise WireError("more than %d values" % limits.values)
    try:
        return json.loads(plain, parse_constant=_no_number, parse_int=_integer, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise WireError("not JSON: %s" % error.msg, line=error.lineno, column=error.colno) from error
    except RecursionError:
        raise WireError("nested too deeply") from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WireError("not UTF-8: byte 0x%02x" % data[error.start], line=line) from error


def _no_number(constant: str) -> Any:
    raise WireError("%s is not a JSON number" % constant)


def _integer(text: str) -> int:
    if len(text) > 20:  # older Pythons take minutes for a million digits
        raise WireError("an integer of %d digits" % len(text))
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice: Optional[str] = next(name for name in names if names.count(name) > 1)
        raise WireError("duplicate key %.60r" % twice)
    return found
