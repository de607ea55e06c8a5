"""Reads files of a run or a machine as checked values: the result is a value of the wanted type, or `Unreadable` with
file, line, key, the reason and a fix.

The rules of each type are in `lab.guest.wire.checked`, the size limits of a file here.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from lab.guest.wire import LIMITS, Limits, WireError, decode, parse, shown
from lab.model import regular
from lab.model.errors import Newer, Unreadable
from lab.system import store

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The limits of a file with many rows; `size` and `line` in bytes, unpacked."""

    size: int = 256 << 20
    line: int = 4 << 20
    rows: int = 500_000
    values: int = 1_000_000  # of JSON lines that are all kept in memory


ROWS: Final = Rows()
LOG: Final = Rows(size=32 << 20)  # every line of a log is kept in memory
LINE: Final = Limits(size=ROWS.line, values=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file: its path, its name in messages, and the fix when it cannot be read."""

    path: Path
    name: str
    fix: str

    def error(self, why: str, *, line: int = 0) -> Unreadable:
        return Unreadable(shown_path(self.name), why, fix=self.fix, line=line)

    def wrong(self, error: WireError, *, line: int = 0) -> Unreadable:
        """The same error with this file's name; `line` when the text is one line of the file."""
        name, at = shown_path(self.name), line or error.line
        return Unreadable(name, error.why, fix=self.fix, line=at, column=error.column, key=error.key)


def shown_path(name: str) -> str:
    """A name, or a text with names, as one printable line; it is not cut."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def read(source: Source, hint: type[T], limits: Limits = LIMITS) -> T:
    """The JSON document in a file, as `hint`. Raises Unreadable, also when it is missing."""
    data = content(source, limits.size)
    try:
        doc = parse(data, limits)
    except WireError as error:
        raise source.wrong(error) from error
    return decoded(source, hint, doc)


def decoded(source: Source, hint: type[T], doc: object) -> T:
    """The document of a file, as `hint`. Raises Unreadable; Newer where its schema is above the default of `hint`."""
    newest = {field.name: field.default for field in fields(hint)}.get("schema") if is_dataclass(hint) else None
    if isinstance(doc, Mapping) and isinstance(newest, int):
        schema, version = doc.get("schema"), doc.get("lab_version")
        if type(schema) is int and schema > newest:
            made = f"lab {shown(version)}" if version and isinstance(version, str) else "a newer lab"
            why = f"{made} wrote it with schema {schema}; this lab reads schemas up to {newest}"
            raise Newer(shown_path(source.name), why, fix="update lab")
    try:
        return decode(hint, doc)
    except WireError as error:
        raise source.wrong(error) from error


def content(source: Source, size: int) -> bytes:
    """All bytes of a regular file of at most `size` bytes. Raises Unreadable."""
    try:
        with _opened(source) as file:
            data = file.read(size + 1)
    except OSError as error:
        raise source.error(why_not(error)) from error
    if len(data) > size:
        raise source.error(f"larger than {size} bytes")
    return data


def _opened(source: Source) -> BinaryIO:
    """Open it for reading; a folder, a pipe or a device is refused without waiting for its data."""
    try:
        return store.retry_while_open(lambda: regular.opened(source.path))
    except regular.NotRegular as error:
        raise source.error("not a regular file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in a name
        raise source.error(why_not(error)) from error


def why_not(error: Exception) -> str:
    """The system's error text, without its number and path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def lines(source: Source, one: Callable[[object], T], rows: Rows = LOG) -> tuple[tuple[T, ...], tuple[Unreadable, ...]]:
    """The JSON lines of a log as values, and the errors of invalid lines. An unfinished last line is left out.

    Raises Unreadable when the file exceeds `rows`; a missing file has no lines.
    """
    if not os.path.lexists(source.path):
        return (), ()
    found: list[T] = []
    bad: list[Unreadable] = []
    left = rows.values
    with _opened(source) as file:
        for number, line in _numbered(source, file, rows):
            if not line.endswith(b"\n"):
                break
            left -= line.count(b",") + line.count(b"[") + line.count(b"{")
            if left < 0:
                raise source.error(f"more than {rows.values} values", line=number)
            try:
                found.append(one(parse(line, LINE)))
            except WireError as error:
                bad.append(source.wrong(error, line=number))
    return tuple(found), tuple(bad)


def packed_lines(source: Source, hint: type[T], rows: Rows = ROWS) -> Iterator[T]:
    """The JSON lines of a gzip file, one value at a time; a missing file has none. Raises Unreadable at the first
    line that is not `hint`, and before the first line of a file that is too large."""
    for number, line in _unpacked(source, rows):
        try:
            value = decode(hint, parse(line, LINE))
        except WireError as error:
            raise source.wrong(error, line=number) from error
        yield value


def packed_rows(
    source: Source, columns: tuple[str, ...], one: Callable[[list[str]], T], rows: Rows = ROWS
) -> Iterator[T]:
    """The rows of a gzip CSV file with `columns` (more may follow), each converted by `one`."""
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in _unpacked(source, rows):  # noqa: B007 - used in the error
            yield line.decode("utf-8")

    try:
        table = csv.reader(texts(), strict=True)
        head = next(table, None)
        if head is not None and tuple(head[: len(columns)]) != columns:
            raise source.error(f"the columns are {shown(', '.join(head))}, not {', '.join(columns)}", line=1)
        for row in table:
            if len(row) < len(columns):
                raise source.error(f"{len(columns)} fields are expected, not {len(row)}", line=number)
            yield one(row)
    except UnicodeDecodeError as error:
        raise source.error("not UTF-8", line=number) from error
    except csv.Error as error:
        raise source.error(str(error), line=number) from error
    except WireError as error:
        raise source.wrong(error, line=number) from error


def _unpacked(source: Source, rows: Rows) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a gzip file. It is unpacked twice: the first time only to check the limits, before any
    line is kept in memory."""
    if not os.path.lexists(source.path):
        return
    for keep in (False, True):
        with _opened(source) as raw, gzip.open(raw) as packed:
            for numbered in _numbered(source, packed, rows):
                if keep:
                    yield numbered


def _numbered(source: Source, file: BinaryIO | gzip.GzipFile, rows: Rows) -> Iterator[tuple[int, bytes]]:
    total = 0
    for number in range(1, rows.rows + 2):
        try:
            line = file.readline(rows.line + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise source.error(f"truncated or damaged ({error})", line=number) from error
        except OSError as error:
            raise source.error(why_not(error), line=number) from error
        total += len(line)
        if not line:
            return
        if len(line) > rows.line:
            raise source.error(f"a line of more than {rows.line} bytes", line=number)
        if total > rows.size:
            raise source.error(f"more than {rows.size} bytes unpacked", line=number)
        if number > rows.rows:
            raise source.error(f"more than {rows.rows} lines", line=number)
        yield number, line
