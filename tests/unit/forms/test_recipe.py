"""A key stands for every input of a binary, and for nothing else."""

from __future__ import annotations

import dataclasses
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.forms import declared
from lab.forms.recipe import Recipe, for_form
from lab.forms.source.shelf import Shelf
from lab.model.form import BuildSpec
from tests.support import ROOT


def recipe(root: Path) -> Recipe:
    """A small source with an overlay, checksums and a tool, read as it is now."""
    for name, text in {
        "source/main.go": "package main\n",
        "source/inner/a.go": "package inner\n",
        "overlay/.lab/x.go": "package x\n",
        "go.sum": "a v1 h1:x\n",
        "tool/go.mod": "module tool\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read(root)


def read(root: Path) -> Recipe:
    shelf = Shelf()
    tool = Recipe(name="tool", label="tool", source=shelf.folder(root / "tool"), main="p", spec=BuildSpec())
    return Recipe(
        name="x",
        label="form x",
        source=shelf.folder(root / "source"),
        main=".",
        spec=BuildSpec(steps=(("go", "build"),)),
        overlays=(shelf.folder(root / "overlay"),),
        sums=(shelf.folder(root / "go.sum"),),
        tools=(tool,),
        goos="linux",
        goarch="amd64",
        programs=(("CLANG", "clang-14", "version 14"),),
    )


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return change


@pytest.mark.parametrize(
    "change",
    [
        write("source/main.go", "package main // other\n"),
        write("source/new.txt", "perhaps embedded"),
        write("overlay/.lab/x.go", "package x // other\n"),
        write("go.sum", "a v2 h1:y\n"),
        write("tool/go.mod", "module tool // other\n"),
        lambda root: (root / "source/inner/a.go").rename(root / "source/inner/b.go"),
        lambda root: (root / "source/main.go").chmod(0o755),
    ],
)
def test_every_file_counts(tmp_path: Path, change: Callable[[Path], object]) -> None:
    before = recipe(tmp_path).key()
    change(tmp_path)
    assert read(tmp_path).key() != before


@pytest.mark.parametrize(
    "change",
    [
        write("source/main_test.go", "package main\n"),
        write("source/.git/HEAD", "ref\n"),
        lambda root: (root / "source/.#main.go").symlink_to("somebody@host.1234"),
        lambda root: os.mkfifo(root / "source/pipe"),
    ],
)
def test_what_is_no_part_of_the_program_does_not(tmp_path: Path, change: Callable[[Path], object]) -> None:
    before = recipe(tmp_path).key()
    change(tmp_path)
    assert read(tmp_path).key() == before


@pytest.mark.parametrize(
    "values",
    [
        {"goarch": "arm64"},
        {"main": "./cmd"},
        {"build_id_var": "main.id"},
        {"spec": BuildSpec(steps=(("go", "build", "-v"),))},
        {"spec": BuildSpec(steps=(("go", "build"),), toolchain="go1.26.2")},
        {"spec": BuildSpec(steps=(("go", "build"),), env={"GOAMD64": "v3"})},
        {"programs": (("CLANG", "clang-14", "version 15"),)},
        {"tools": ()},
    ],
)
def test_every_value_counts(tmp_path: Path, values: dict[str, object]) -> None:
    made = recipe(tmp_path)
    assert dataclasses.replace(made, **values).key() != made.key()  # type: ignore[arg-type]


def test_stale_edit_during_build_a_frozen_recipe_keeps_its_key(tmp_path: Path) -> None:
    """The key is of what was read when the recipe was made, however often it is asked for."""
    made = recipe(tmp_path)
    before = made.key()
    write("source/main.go", "package main // edited\n")(tmp_path)
    assert made.key() == before
    form = declared.catalog(ROOT)["baseline"]
    one = for_form(form, declared.service(ROOT), "x86_64")
    assert one.key() == one.key()


def test_the_copy_is_what_was_hashed(tmp_path: Path) -> None:
    recipe(tmp_path)
    (tmp_path / "source/main.go").chmod(0o444)
    seen = Shelf().folder(tmp_path / "source")
    tree = Shelf(tmp_path / "room").folder(tmp_path / "source")
    assert tree.digest == seen.digest
    assert {path.relative_to(tree.copy()).as_posix() for path in tree.copy().rglob("*.go")} == {"main.go", "inner/a.go"}
    assert os.access(tree.copy() / "main.go", os.W_OK)
    (tmp_path / "source/main.go").unlink()
    assert (tree.copy() / "main.go").read_text() == "package main\n"


def test_large_file_in_memory_is_read_by_pieces(tmp_path: Path) -> None:
    """A file of any size takes a few pieces of memory, both hashed and copied."""
    (tmp_path / "source").mkdir()
    with (tmp_path / "source/model.bin").open("wb") as file:
        file.truncate(300 << 20)
    tracemalloc.start()
    try:
        tree = Shelf(tmp_path / "room").folder(tmp_path / "source")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert tree.large == (("model.bin", 300 << 20),)


def test_same_inputs_elsewhere_are_the_same_binary(tmp_path: Path) -> None:
    assert recipe(tmp_path / "here").key() == recipe(tmp_path / "there").key()


def test_a_copy_is_written_in_its_folder_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "room")
    for name in ("../1", "a/../../x", str(tmp_path / "x")):
        with pytest.raises(AssertionError, match="outside of the copy"):
            shelf.put(tmp_path, [(name, b"")])
    (tmp_path / "room/stray").touch()
    copies = [shelf.put(tmp_path, [("a..b/x", b"")]).copy() for _ in range(2)]
    assert [each.name for each in copies] == ["3", "4"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()].count("x") == 2
