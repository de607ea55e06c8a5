"""A key stands for every input of a binary, and for nothing else."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.forms.neighbours import beside
from lab.forms.recipe import Recipe
from lab.model.errors import ConfigError
from lab.model.form import BuildSpec


def recipe(root: Path) -> Recipe:
    """A small source with an overlay, checksums and a tool."""
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
    tool = Recipe(name="tool", label="tool", source=root / "tool", main="p", spec=BuildSpec())
    return Recipe(
        name="x",
        label="form x",
        source=root / "source",
        main=".",
        spec=BuildSpec(steps=(("go", "build"),)),
        overlays=(root / "overlay",),
        sums=(root / "go.sum",),
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
    made = recipe(tmp_path)
    before = made.key()
    change(tmp_path)
    assert made.key() != before


@pytest.mark.parametrize(
    "change",
    [
        write("source/main_test.go", "package main\n"),
        write("source/service.yaml", "schema: 1\n"),
        write("source/reference-spans.yaml", "schema: 1\n"),
        write("source/.git/HEAD", "ref\n"),
        write("source/scenario.yaml", "schema: 1\n"),
        lambda root: (root / "source/.#main.go").symlink_to("somebody@host.1234"),
        lambda root: os.mkfifo(root / "source/pipe"),
    ],
)
def test_what_is_no_part_of_the_program_does_not(tmp_path: Path, change: Callable[[Path], object]) -> None:
    made = recipe(tmp_path)
    before = made.key()
    change(tmp_path)
    assert made.key() == before


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


def test_a_module_beside_the_source_counts_and_is_found(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    write("source/go.mod", "module x\nreplace (\n\tex.org/a v1.2.3 => ../a // ours\n\tex.org/b => ./inner\n)\n")(
        tmp_path
    )
    with pytest.raises(ConfigError, match=r"holds no go\.mod"):
        made.key()
    write("a/go.mod", "module ex.org/a\n")(tmp_path)
    assert beside(tmp_path / "source") == {"ex.org/a@v1.2.3": tmp_path / "a"}
    before = made.key()
    write("a/a.go", "package a\n")(tmp_path)
    assert made.key() != before


def test_same_inputs_elsewhere_are_the_same_binary(tmp_path: Path) -> None:
    assert recipe(tmp_path / "here").key() == recipe(tmp_path / "there").key()
