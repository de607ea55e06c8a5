"""What lies in a source and is no regular file, or has a name that is not UTF-8, matters where the build reads it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lab.model.errors import ConfigError, LabError
from tests.contract.layouts import ASKS, LIB, MOD, Layout, embeds, go, lay, read, said

pytestmark = [
    pytest.mark.contract,
    pytest.mark.usefixtures("pinned_toolchain"),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names"),
    pytest.mark.timeout(60),  # nothing here may wait
]

OK: Final = 'package main\n\nconst word = "ok"\n'
IN: Final = {"svc/in/a.go": "package in\n", "svc/word.go": OK.replace("\n\n", '\n\nimport _ "ex.org/svc/in"\n\n', 1)}
BESIDE: Final = {
    **LIB,
    "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ../lib\n",
    "svc/word.go": ASKS,
}
VENDOR: Final = {"svc/vendor/a.txt": ""}


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path has 107 bytes
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("files", "name", "make", "what"),
    [
        ({}, "svc/p.go", pipe, "a named pipe"),
        ({}, "svc/p.go", bound, "a socket"),
        ({}, "svc/p.go", device, "a device"),
        ({}, "svc/x.s", pipe, "a named pipe"),
        (IN, "svc/in/p.go", pipe, "a named pipe"),
        (BESIDE, "lib/p.go", pipe, "a named pipe"),
        (BESIDE, "lib/go.mod", pipe, "a named pipe"),
        ({}, "svc/go.mod", pipe, "a named pipe"),
        ({}, "svc/go.sum", pipe, "a named pipe"),
        ({}, "go.work", pipe, "a named pipe"),
        ({}, "svc/default.pgo", pipe, "a named pipe"),
        (VENDOR, "svc/vendor/modules.txt", pipe, "a named pipe"),
    ],
)
def test_what_is_no_regular_file_is_told_by_name(
    files: dict[str, str], name: str, make: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    top = tmp_path / "src"
    service = lay(top, Layout(files={"svc/word.go": OK, **files}))
    make(top / name)
    began = time.monotonic()
    with pytest.raises(ConfigError) as told:
        read(service, tmp_path, copy=False)
    assert time.monotonic() - began < 20
    assert told.value.message == f"{top / name} is {what}, not a regular file"
    assert told.value.fix.startswith(f"remove {top / name}")


def test_a_pipe_that_is_embedded_is_told_at_its_line(tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": embeds("w.txt", "w.txt")}))
    pipe(service.root / "w.txt")
    with pytest.raises(LabError, match="Go cannot build") as told:
        read(service, tmp_path, copy=False)
    assert "word.go:5:12: pattern w.txt: cannot embed irregular file w.txt" in str(told.value.detail)


@pytest.mark.parametrize(
    "name",
    [
        "svc/other/p.go",
        "svc/p_windows.go",
        "svc/p_test.go",
        "svc/_p.go",
        "svc/.p.go",
        "svc/README",
        "svc/web/p",
        "p.go",
    ],
)
def test_what_the_build_does_not_read_does_not_matter(name: str, tmp_path: Path) -> None:
    files = {"svc/word.go": embeds("web", "web/a.txt"), "svc/web/a.txt": "ok", "svc/other/a.txt": ""}
    top = tmp_path / "src"
    service = lay(top, Layout(files=files))
    pipe(top / name)
    source = read(service, tmp_path)
    assert not any(path.is_fifo() for path in source.tree.copy().rglob("*"))
    assert (source.tree.copy() / "web/a.txt").read_text() == "ok"


@pytest.mark.parametrize("name", [b"\xff\xfe.go", b"caf\xe9.go", b"\xe2\x82x.go"])
def test_a_file_whose_name_is_not_utf8_is_built_as_go_builds_it(name: bytes, tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": "package main\n"}))
    for each, text in ((name, OK), (b"notes\xff.txt", ""), (b"notes\xfe.txt", "")):
        (service.root / os.fsdecode(each)).write_text(text)
    source, ours = read(service, tmp_path), tmp_path / "ours"
    built = go(source.tree.copy(), "build", "-o", str(ours), source.main, GOFLAGS="-mod=mod -buildvcs=false")
    assert built.returncode == 0, built.stderr
    assert said(ours) == "ok"


def test_two_names_that_go_prints_alike_are_told(tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": OK}))
    for each in (b"\xff.go", b"\xfe.go"):
        (service.root / os.fsdecode(each)).write_text("package main\n")
    with pytest.raises(ConfigError, match=r"Go cannot distinguish .*udcfe.* and .*udcff.*"):
        read(service, tmp_path, copy=False)


@pytest.mark.parametrize(
    ("files", "at", "package"),
    [
        (
            {"svc/word.go": OK.replace("\n\n", '\n\nimport _ "ex.org/svc/missing"\n\n', 1)},
            "svc/word.go:3:8",
            "svc/missing",
        ),
        (
            {**IN, "svc/in/a.go": 'package in\n\nimport _ "ex.org/svc/in/deep"\n', "svc/in/deep/README": ""},
            "svc/in/a.go:3:8",
            "svc/in/deep",
        ),
        ({**BESIDE, "svc/word.go": ASKS.replace("ex.org/lib", "ex.org/lib/no")}, "svc/word.go:3:8", "lib/no"),
    ],
)
def test_a_missing_package_of_the_services_own_is_told_where_it_is_imported(
    files: dict[str, str], at: str, package: str, tmp_path: Path
) -> None:
    top = tmp_path / "src"
    service = lay(top, Layout(files={"svc/word.go": OK, **files}))
    with pytest.raises(LabError) as told:
        read(service, tmp_path, copy=False)
    module = package.partition("/")[0]
    assert told.value.message == (
        f"{top}/{at}: package ex.org/{package} does not exist in module ex.org/{module}: {top}/{package} has no Go file"
    )
    assert told.value.fix == f"correct the import at {top}/{at}, or add that package"
