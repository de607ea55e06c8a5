"""What a built binary is: for which machine, with its symbols, and really woven."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Final

from lab.forms.recipe import Recipe
from lab.model.errors import DemoError

ELF_MACHINES: Final = {62: "amd64", 183: "arm64"}
SYMBOLS: Final = (".symtab", ".debug_info")


def prove(recipe: Recipe, binary: Path) -> None:
    """Raise DemoError naming the form when the binary is for another CPU, stripped, or lacks what should be woven in.

    Go's linker drops what nothing calls, so a woven function that is in the binary is called by it.
    """
    cpu, sections = elf(binary)
    if recipe.goarch and cpu != recipe.goarch:
        raise DemoError(
            f"{recipe.label}: built for {cpu or 'no ELF machine'}, not {recipe.goarch}", fix="check its build steps"
        )
    if recipe.keep_symbols and not all(name in sections for name in SYMBOLS):
        raise DemoError(f"{recipe.label}: the binary is stripped", fix="take -s and -w out of its build steps")
    missing = unwoven(binary, recipe.spec.woven)
    if missing:
        told = "; ".join(f"{host} does not call {woven}" for host, woven in missing.items())
        raise DemoError(
            f"{recipe.label}: the build ended well and wove nothing where it should: {told}",
            fix="check the form's aspects and that its build tool is the version that go.mod requires",
        )


def unwoven(binary: Path, woven: dict[str, str]) -> dict[str, str]:
    """The entries of `woven` whose function is in the binary and what is woven into it ("A | B": either) is not."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        hosts = {host: weft for host, weft in woven.items() if _has(data, host)}
        return {host: weft for host, weft in hosts.items() if not any(_has(data, one) for one in weft.split(" | "))}


def elf(binary: Path) -> tuple[str, frozenset[str]]:
    """(GOARCH, section names) of a 64-bit little-endian ELF file; ("", none) of anything else."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if not _is_elf(data):
            return "", frozenset()
        machine = struct.unpack_from("<H", data, 18)[0]
        return ELF_MACHINES.get(machine, str(machine)), frozenset(_sections(data))


def section(binary: Path, name: str) -> bytes:
    """The content of one section; nothing when the file has none of that name."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset, size = _sections(data).get(name, (0, 0)) if _is_elf(data) else (0, 0)
        return data[offset : offset + size]


def _is_elf(data: mmap.mmap) -> bool:
    return data[:6] == b"\x7fELF\x02\x01"


def _sections(data: mmap.mmap) -> dict[str, tuple[int, int]]:
    """Section name -> (offset, size)."""
    table, size, count, names_at = *struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HHH", data, 58)
    rows = [struct.unpack_from("<II4Q", data, table + size * i) for i in range(count)]
    text = rows[names_at][4] if rows else 0
    starts = [text + row[0] for row in rows]
    names = [data[at : data.find(b"\0", at)].decode("ascii", "replace") for at in starts]
    return {name: (row[4], row[5]) for name, row in zip(names, rows, strict=True)}


def _has(data: mmap.mmap, function: str) -> bool:
    """Whether the table of function names holds `function`."""
    return data.find(b"\0" + function.encode() + b"\0") >= 0
