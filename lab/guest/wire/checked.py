"""One check per type, built from its hints: the dataclasses of this folder are the schema of the documents.

Limits the range of numbers, the length of texts and the depth of free values. An error has the place
(`forms[2].seed`), the expected value and the found value.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

UNIONS = (Union, getattr(types, "UnionType", Union))  # `int | None` is of the second kind, from Python 3.10 on
SHOWN = 60  # characters of a value or key that a message repeats
Check = Callable[[Any], Any]
Place = Union[str, int]


@dataclass(frozen=True)
class Limits:
    """Limits of one document, so that its reader's memory is bounded."""

    size: int = 16 << 20  # bytes
    values: int = 1_000_000
    depth: int = 32  # of a value without a type of its own
    text: int = 1 << 20  # characters of one string


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both included: `Annotated[int, Range(0, 10)]`."""

    low: float
    high: float


LIMITS = Limits()
INTEGERS = Range(-(1 << 63), (1 << 64) - 1)
# far beyond every measured quantity, and arithmetic on such figures stays within the range of a float
NUMBERS = Range(-1e18, 1e18)
Count = Annotated[int, Range(0, (1 << 63) - 1)]


class WireError(ValueError):
    """A document is invalid. `place`: keys and indices from its top; line and column: of its text."""

    def __init__(self, why: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.line = line
        self.column = column
        self.place: list[Place] = []

    def inside(self, part: Place) -> WireError:
        """The same error with its place one level up."""
        self.place.insert(0, part)
        return self

    @property
    def key(self) -> str:
        """`cells[3].usage[0].role`; "" for the document itself."""
        parts = ("[%d]" % part if isinstance(part, int) else "." + shown(part) for part in self.place)
        return "".join(parts).lstrip(".")

    def __str__(self) -> str:
        where = "line %d, column %d: " % (self.line, self.column) if self.column else ""
        where = where or ("line %d: " % self.line if self.line else "")
        return where + ("%s: " % self.key if self.key else "") + self.why


def shown(value: Any) -> str:
    """A value for a message: short, on one line, printable on every terminal."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return text if text.isprintable() else json.dumps(text)[1:-1]


NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
}


def _wrong(expected: str, value: Any) -> WireError:
    if value is None:
        return WireError("%s is expected, not null" % expected)
    if isinstance(value, (dict, list)):
        return WireError("%s is expected, not %s" % (expected, NAMES[type(value)]))
    if isinstance(value, str):
        return WireError('%s is expected, not the string "%s"' % (expected, shown(value)))
    return WireError("%s is expected, not %s" % (expected, shown(value)))


@functools.cache
def checker(hint: Any) -> Check:
    """The check of one type. An unsupported hint is a bug, found by the tests of the module."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _number(args[0], args[1])
    if dataclasses.is_dataclass(hint):
        return _fields(hint)
    if origin in UNIONS:
        inner = [arg for arg in args if arg is not type(None)]
        one = {typing.get_origin(arg) is dict: checker(arg) for arg in inner}  # a plain value, an object, or either
        assert len(one) == len(inner), hint
        return _optional(lambda value: one.get(isinstance(value, dict), checker(inner[0]))(value))
    if origin is tuple:
        assert args[1:] == (Ellipsis,), hint
        return _items(checker(args[0]))
    if origin is dict:
        return _values(checker(args[1]))
    if origin is Literal:
        return _choice(args)
    return _PLAIN[hint]


def _fields(cls: Any) -> Check:
    hints = typing.get_type_hints(cls, include_extras=True)
    wanted = [
        (f.name, checker(hints[f.name]), f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
        for f in dataclasses.fields(cls)
    ]

    def check(doc: Any) -> Any:
        if not isinstance(doc, dict):
            raise _wrong("an object", doc)
        values = {}
        for name, one, needed in wanted:
            if name in doc:
                try:
                    values[name] = one(doc[name])
                except WireError as error:
                    error.inside(name)
                    raise
            elif needed:
                raise WireError("missing").inside(name)
        return cls(**values)

    return check


def _optional(one: Check) -> Check:
    return lambda value: None if value is None else one(value)


def _items(one: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong("a list", value)
        found = []
        for index, item in enumerate(value):
            try:
                found.append(one(item))
            except WireError as error:
                error.inside(index)
                raise
        return tuple(found)

    return check


def _values(one: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _wrong("an object", value)
        found = {}
        for key, item in value.items():
            try:
                found[_text(key)] = one(item)
            except WireError as error:
                error.inside(str(key))
                raise
        return found

    return check


def _choice(words: tuple[Any, ...]) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value in words:
            return value
        raise _wrong("one of %s" % ", ".join(map(str, words)), value)

    return check


def _number(kind: Any, bounds: Range) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not int and (kind is int or type(value) is not float):
            raise _wrong(NAMES[kind], value)
        if not bounds.low <= value <= bounds.high:
            finite = "a finite number" if isinstance(value, float) and not math.isfinite(value) else NAMES[kind]
            raise _wrong("%s from %s to %s" % (finite, bounds.low, bounds.high), value)
        return kind(value)

    return check


def _truth(value: Any) -> Any:
    if type(value) is not bool:
        raise _wrong("true or false", value)
    return value


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise _wrong("a string", value)
    if len(value) > LIMITS.text:
        raise WireError("a string of %d characters; at most %d are read" % (len(value), LIMITS.text))
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WireError("a string with a lone surrogate") from None
    return value


def _free(value: Any, depth: int = 0) -> Any:
    """A value without a type of its own: plain JSON within the limits."""
    if depth > LIMITS.depth:
        raise WireError("nested more than %d levels deep" % LIMITS.depth)
    if isinstance(value, dict):
        return _values(lambda item: _free(item, depth + 1))(value)
    if isinstance(value, (list, tuple)):
        return list(_items(lambda item: _free(item, depth + 1))(value))
    if value is None:
        return None
    one = _PLAIN.get(type(value))
    if one is None:
        raise _wrong("a JSON value", value)
    return one(value)


_PLAIN: dict[Any, Check] = {
    str: _text,
    bool: _truth,
    int: _number(int, INTEGERS),
    float: _number(float, NUMBERS),
    Any: _free,
    object: _free,
}
