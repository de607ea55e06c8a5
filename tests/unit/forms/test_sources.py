"""A table of functions written here, by the runtime's own layout, is read back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.forms import sources
from tests.unit.forms.test_woven import program

Runs = Sequence[tuple[int, int]]  # (length, value)
FILES = ["shop/main.go", "<generated>", "net/http/server.go", "example.org/kit/v2@v2.0.1/kit.go", "shop/dial.go"]
OWN, MARK, SERVER, KIT, DIAL = range(len(FILES))


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def encoded(runs: Runs) -> bytes:
    """pcvalue: zigzag deltas of the value, lengths, a zero at the end."""
    out, before = b"", -1
    for length, value in runs:
        delta = value - before
        out, before = out + varint(delta << 1 if delta >= 0 else ((-delta - 1) << 1) | 1) + varint(length), value
    return out + b"\0"


def table(functions: Sequence[tuple[Runs, Runs]], *, magic: int = 0xFFFFFFF1) -> bytes:
    """.gopclntab of functions, each with its runs of files and of inlined calls; all in one compile unit."""
    names = b"".join(name.encode() + b"\0" for name in FILES)
    at = [names.index(name.encode() + b"\0") for name in FILES]
    unit = struct.pack(f"<{len(at)}I", *at)
    values, places = b"\0", []
    for parts in functions:
        offsets = []
        for runs in parts:
            offsets.append(len(values) if runs else 0)
            values += encoded(runs) if runs else b""
        places.append(offsets)
    bodies, starts = b"", []
    directory = 8 * len(functions) + 4
    for files, inlined in places:
        starts.append(directory + len(bodies))
        bodies += struct.pack("<IiiIIIIIIi4B", 0, 0, 0, 0, 0, files, 0, 3, 0, 1, 0, 0, 0, 0) + struct.pack(
            "<3I", 0, 0, inlined
        )
    listed = b"".join(struct.pack("<II", 0, start) for start in starts) + b"\0" * 4
    offsets = [72]
    for part in (unit, names, values):
        offsets.append(offsets[-1] + len(part))
    head = struct.pack("<IHBB8Q", magic, 0, 1, 8, len(functions), len(FILES), 0, 72, *offsets)
    return head + unit + names + values + listed + bodies


def read(tmp_path: Path, data: bytes) -> sources.Sources | None:
    path = program(tmp_path / "p", sections=(".gopclntab",), names="")
    raw = path.read_bytes()
    whole = bytearray(raw + data)
    (rows,) = struct.unpack_from("<Q", whole, 40)
    struct.pack_into("<QQ", whole, rows + 64 + 24, len(raw), len(data))  # offset and size of the first section
    path.write_bytes(whole)
    return sources.read(path)


def test_a_file_with_code_of_the_mark_is_woven(tmp_path: Path) -> None:
    found = read(tmp_path, table([([(9, OWN), (200, MARK), (3, OWN)], []), ([(70, KIT)], []), ([(5, SERVER)], [])]))
    assert found == sources.Sources(modules=frozenset({"example.org/kit/v2"}), woven=frozenset({"shop/main.go"}))


def test_who_calls_a_woven_function_that_was_inlined_is_not_woven(tmp_path: Path) -> None:
    """dial.go's code, inlined into server.go's, holds the mark: dial.go was written into."""
    found = read(tmp_path, table([([(10, SERVER), (4, DIAL), (4, MARK), (10, SERVER)], [(10, -1), (8, 0), (10, -1)])]))
    assert found is not None
    assert found.woven == {"shop/dial.go"}


@pytest.mark.parametrize("data", [b"", b"short", table([], magic=0xFFFFFFF0), table([]).replace(b"\1\x08", b"\1\4", 1)])
def test_another_layout_is_not_guessed_at(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) is None


def test_what_is_no_program_has_no_sources(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("program")
    assert sources.read(tmp_path / "text") is None
