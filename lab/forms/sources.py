"""What a Go binary was made from, read from its own table of functions: modules, and files that a weaver wrote into.

The table (`.gopclntab`) gives every piece of machine code its source file. `-trimpath` names a module's files
"path@version/file", and a weaver marks what it puts in with `//line` directives, so that a woven function has code of
its own file beside code of MARK. Go's linker drops what nothing calls: counted is what the program can run. A call
that was merely turned to another function leaves no code of its own, so the woven files are a lower bound.

Layout, the same from Go 1.20 on: pcHeader, _func and pcvalue in go.dev/src/runtime/symtab.go and runtime2.go.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.forms.binary_check import section

TABLE: Final = ".gopclntab"
MAGIC: Final = 0xFFFFFFF1
MARK: Final = "<generated>"  # what Orchestrion injects has no line of anybody's source
POINTER: Final = 8  # bytes
HEADER: Final = struct.Struct("<IHBB8Q")
# entry, name, args, defer return, stack, file, line, count of pc tables, compile unit, first line, id, flags
FUNCTION: Final = struct.Struct("<IiiIIIIIIi4B")
INLINED: Final = 2  # PCDATA_InlTreeIndex: which inlined call a piece of code belongs to, -1 for none
MODULE: Final = re.compile(r"(.+?)@v[^/]+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Module paths, without versions (a replaced module bears the version that was asked for), and woven files."""

    modules: frozenset[str]
    woven: frozenset[str]


def read(binary: Path) -> Sources | None:
    """None when the binary holds no such table, or one of another layout."""
    data = section(binary, TABLE)
    if len(data) < HEADER.size or struct.unpack_from("<I", data)[0] != MAGIC or data[7] != POINTER:
        return None
    table = _Table(data)
    named = (MODULE.match(name) for name in table.files.values())
    return Sources(modules=frozenset(found[1] for found in named if found), woven=frozenset(_woven(table)))


class _Table:
    """The table's parts as offsets into one buffer. files: offset in the file table -> name."""

    def __init__(self, data: bytes) -> None:
        *_, count, _, _, _, units, files, values, functions = HEADER.unpack_from(data)
        self.data, self.units, self.values = data, units, values
        starts = struct.unpack_from(f"<{2 * count}I", data, functions)[1::2]
        self.functions = [functions + start for start in starts]
        self.files: dict[int, str] = {}
        at = 0
        for name in data[files:values].split(b"\0"):
            self.files[at] = name.decode("utf-8", "replace")
            at += len(name) + 1

    def file(self, unit: int, index: int) -> str:
        """The name behind a function's file number; "" for none."""
        (offset,) = struct.unpack_from("<I", self.data, self.units + 4 * (unit + index))
        return self.files.get(offset, "")

    def steps(self, offset: int) -> Iterator[tuple[int, int]]:
        """(where it begins, value) of each run of code; the first of the table's deltas counts from -1."""
        if not offset:
            return
        at, value, begin = self.values + offset, -1, 0
        while True:
            delta, at = self._varint(at)
            if delta == 0 and begin:
                return
            value += -(delta >> 1) - 1 if delta & 1 else delta >> 1
            length, at = self._varint(at)
            yield begin, value
            begin += length

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7


def _woven(table: _Table) -> Iterator[str]:
    """The own file of each function, inlined ones too, that has code of MARK."""
    for at in table.functions:
        _, _, _, _, _, pc_file, _, tables, unit, *_ = FUNCTION.unpack_from(table.data, at)
        runs = [(begin, table.file(unit, value)) for begin, value in table.steps(pc_file) if value >= 0]
        if not any(name == MARK for _, name in runs):
            continue
        (inlined,) = (
            struct.unpack_from("<I", table.data, at + FUNCTION.size + 4 * INLINED) if tables > INLINED else (0,)
        )
        yield from _mixed(runs, list(table.steps(inlined)))


def _mixed(runs: list[tuple[int, str]], calls: list[tuple[int, int]]) -> Iterator[str]:
    """Files that share one body with MARK. A body is the function itself, or one call that was inlined into it."""
    bodies: dict[int, set[str]] = defaultdict(set)
    starts = [begin for begin, _ in calls]
    for begin in sorted({*starts, *(start for start, _ in runs)}):
        call = calls[max(0, bisect_right(starts, begin) - 1)][1] if calls else -1
        name = next((name for start, name in reversed(runs) if start <= begin), "")
        bodies[call].add(name)
    for names in bodies.values():
        if MARK in names:
            yield from names - {MARK, ""}
