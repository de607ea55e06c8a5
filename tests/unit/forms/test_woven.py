"""A binary that is not what its form promises is refused, by name."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.forms.binary_check import elf, prove, unwoven
from lab.forms.recipe import Recipe
from lab.forms.source.shelf import Tree
from lab.model.errors import DemoError
from lab.model.form import BuildSpec


def program(
    path: Path, *, machine: int = 62, sections: tuple[str, ...] = (".symtab", ".debug_info"), names: str
) -> Path:
    """An ELF file with these section names and a table of function names."""
    text = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    data = b"\0" + b"".join(name.encode() + b"\0" for name in names.split())
    table = 64 + len(text) + len(data)
    starts = [text.index(b"\0" + name.encode() + b"\0") + 1 for name in sections]
    rows = [(0, 0), *((start, 64 + len(text)) for start in starts), (text.index(b".shstrtab"), 64)]
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQ", 2, machine, 1, 0, 0, table)
    head += struct.pack("<IHHHHHH", 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    body = b"".join(struct.pack("<IIQQQQ", name, 1, 0, 0, at, 0).ljust(64, b"\0") for name, at in rows)
    path.write_bytes(head + text + data + body)
    return path


def recipe(woven: dict[str, str]) -> Recipe:
    return Recipe(
        name="x",
        label="form x",
        source=Tree(origin=Path(), digest=""),
        main=".",
        spec=BuildSpec(woven=woven),
        goos="linux",
        goarch="amd64",
        keep_symbols=True,
    )


WOVEN = {"net/http.(*Server).Serve": "boot.Wrap", "database/sql.Open": "boot.Open | boot.OpenDB"}


def test_elf_tells_machine_and_sections(tmp_path: Path) -> None:
    assert elf(program(tmp_path / "a", names="main.main", machine=183)) == (
        "arm64",
        frozenset({"", ".symtab", ".debug_info", ".shstrtab"}),
    )
    (tmp_path / "b").write_bytes(b"#!/bin/sh\n")
    assert elf(tmp_path / "b") == ("", frozenset())


def test_woven_binary_is_accepted(tmp_path: Path) -> None:
    names = "main.main net/http.(*Server).Serve boot.Wrap database/sql.Open boot.OpenDB"
    prove(recipe(WOVEN), program(tmp_path / "a", names=names))


def test_functions_that_the_service_does_not_have_ask_for_nothing(tmp_path: Path) -> None:
    names = "main.main net/http.(*Server).Serve boot.Wrap"
    prove(recipe(WOVEN), program(tmp_path / "a", names=names))


def test_a_name_inside_another_is_not_that_function(tmp_path: Path) -> None:
    made = program(tmp_path / "a", names="net/http.(*Server).Serve boot.WrapOther my.boot.Wrap")
    assert unwoven(made, WOVEN) == {"net/http.(*Server).Serve": "boot.Wrap"}


def test_unwoven_binary_is_an_error_naming_the_form(tmp_path: Path) -> None:
    made = program(tmp_path / "a", names="main.main net/http.(*Server).Serve database/sql.Open")
    with pytest.raises(DemoError, match=r"form x: .*Serve does not call boot\.Wrap.*Open does not call") as caught:
        prove(recipe(WOVEN), made)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("machine", "sections", "said"), [(183, (".symtab", ".debug_info"), "arm64"), (62, (".symtab",), "stripped")]
)
def test_wrong_or_stripped_binary_is_an_error(
    tmp_path: Path, machine: int, sections: tuple[str, ...], said: str
) -> None:
    made = program(tmp_path / "a", names="main.main", machine=machine, sections=sections)
    with pytest.raises(DemoError, match=said):
        prove(recipe({}), made)
