"""Checks a built binary: its architecture, its symbols, and the woven functions."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from lab.forms.recipe import Recipe
from lab.model.errors import DemoError
from lab.system.elf import reading

GOARCHS: Final = {"EM_X86_64": "amd64", "EM_AARCH64": "arm64"}
SYMBOLS: Final = (".symtab", ".debug_info")


def prove(recipe: Recipe, binary: Path) -> None:
    """Raise DemoError naming the form when the binary is for another CPU, is stripped, or lacks a woven function.

    Go's linker drops functions that nothing calls, so a woven function in the binary is called.
    """
    cpu, sections = elf(binary)
    if recipe.goarch and cpu != recipe.goarch:
        message = f"{recipe.label}: the binary is for {cpu or 'no ELF machine'}, not {recipe.goarch}"
        raise DemoError(message, fix="check its build steps")
    if recipe.keep_symbols and not all(name in sections for name in SYMBOLS):
        raise DemoError(f"{recipe.label}: the binary is stripped", fix="remove -s and -w from its build steps")
    missing = unwoven(binary, recipe.spec.woven)
    if missing:
        calls = "; ".join(f"{host} does not call {woven}" for host, woven in missing.items())
        raise DemoError(
            f"{recipe.label}: the build succeeded, but weaving is missing: {calls}",
            fix="check the form's aspects, and that its build tool has the version in go.mod",
        )


def unwoven(binary: Path, woven: dict[str, str]) -> dict[str, str]:
    """The entries of `woven` whose function is in the binary without the one woven into it ("A | B": either)."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        hosts = {host: weft for host, weft in woven.items() if _has(data, host)}
        return {host: weft for host, weft in hosts.items() if not any(_has(data, one) for one in weft.split(" | "))}


def elf(binary: Path) -> tuple[str, frozenset[str]]:
    """(GOARCH, section names) of an ELF file; ("", none) of anything else."""
    try:
        with binary.open("rb") as stream, reading(stream) as file:
            machine = file.header.e_machine
            return GOARCHS.get(machine, str(machine)), frozenset(section.name for section in file.iter_sections())
    except ValueError:
        return "", frozenset()


def _has(data: mmap.mmap, function: str) -> bool:
    """Whether the table of function names holds `function`."""
    return data.find(b"\0" + function.encode() + b"\0") >= 0
