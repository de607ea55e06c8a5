"""What cannot be built is refused before a build, by its place and reason and with the fix that belongs to it."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Final

import pytest

from lab.model.errors import ConfigError, LabError
from tests.contract.layouts import ASKS, LIB, MOD, Layout, lay, read

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("pinned_toolchain")]

OK: Final = 'package main\n\nconst word = "ok"\n'
CGO: Final = 'package main\n\nimport "C"\n\nconst word = "ok"\n'


@pytest.mark.parametrize(
    ("files", "message", "fix"),
    [
        pytest.param(
            {"svc/go.mod": "module ex.org/svc\n\n// a comment\ngo 1.27\n"},
            r"svc/go\.mod:4 requires Go 1\.27, forms are built with 1\.26\.1",
            r"lower the go line of go\.mod to 1\.26",
            id="go-line of a newer Go",
        ),
        pytest.param(
            {
                **LIB,
                "lib/go.mod": "module ex.org/lib\n\ngo 1.99\n",
                "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ../lib\n",
                "svc/word.go": ASKS,
            },
            r"lib/go\.mod:3 requires Go 1\.99",
            r"lower the go line of .*lib/go\.mod to 1\.26\.1",
            id="go-line of a dependency",
        ),
        pytest.param(
            {"svc/go.mod": f"{MOD}\nreplace ex.org/a =>\n"},
            r"svc/go\.mod",
            r"correct the file at that line",
            id="syntax",
        ),
        pytest.param(
            {"svc/word.go": ASKS}, r"word\.go:3:8: cannot find module", r"run `go get`", id="an import of no module"
        ),
        pytest.param(
            {
                "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ../not-there\n",
                "svc/word.go": ASKS,
            },
            r"not-there",
            r"correct that replace line",
            id="stale-replace of a module that is used",
        ),
        pytest.param(
            {"svc/word.go": 'package main\n\nimport _ "embed"\n\n//go:embed not.txt\nvar word string\n'},
            r"word\.go:5:12: pattern not\.txt: no matching files found",
            r"//go:embed",
            id="embed-build-yaml that is not there",
        ),
        pytest.param(
            {"svc/main.go": CGO, "svc/word.go": CGO},
            r"main\.go needs cgo",
            r"without cgo",
            id="cgo in the only file",
        ),
        pytest.param(
            {"svc/go.mod": "go 1.24\n"}, r"src/svc/go\.mod has no module line", r"go mod init", id="no module line"
        ),
    ],
)
def test_a_source_that_cannot_be_built(files: dict[str, str], message: str, fix: str, tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": OK, **files}))
    with pytest.raises(LabError) as told:
        read(service, tmp_path, copy=False)
    assert re.search(message, f"{told.value.message}\n{told.value.detail}")
    assert re.search(fix, told.value.fix)


@pytest.mark.parametrize(
    ("include", "why"),
    [
        ("../../2", "outside the module"),
        ("../../x/one.inc", "outside the module"),
        ("{top}/svc/own.inc", "by an absolute path"),
    ],
)
def test_assembly_that_includes_a_file_outside_of_the_module(include: str, why: str, tmp_path: Path) -> None:
    """The copy is written in its own folder alone: `../../2` would be the folder of another copy."""
    top = tmp_path / "src"
    files = {"2": "", "x/one.inc": "", "svc/own.inc": "", "svc/asm/a.go": "package asm\n"}
    files["svc/asm/a_amd64.s"] = f'#include "textflag.h"\n#include "{include.format(top=top)}"\n'
    service = lay(
        top, Layout(files={**files, "svc/word.go": OK.replace("\n\n", '\n\nimport _ "ex.org/svc/asm"\n\n', 1)})
    )
    with pytest.raises(LabError, match=rf"svc/asm/a_amd64\.s:2 includes .*, {why}$") as told:
        read(service, tmp_path)
    assert "in the module" in told.value.fix


@pytest.mark.parametrize(
    ("main", "message"),
    [("./cmd/none", r"directory not found"), ("./docs", r"no Go files in"), ("./lib", r"\./lib is package lib")],
)
def test_a_main_that_is_no_program(main: str, message: str, tmp_path: Path) -> None:
    files = {"svc/lib/lib.go": LIB["lib/lib.go"], "svc/docs/a.md": "x", "svc/word.go": OK}
    service = lay(tmp_path / "src", Layout(files=files, main=main))
    with pytest.raises(LabError) as told:
        read(service, tmp_path, copy=False)
    assert re.search(message, f"{told.value.message}\n{told.value.detail}")
    assert "`main` in service.yaml" in told.value.fix


def test_a_folder_without_a_module(tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": OK}))
    (service.root / "go.mod").unlink()
    with pytest.raises(ConfigError, match=r"has no go\.mod") as told:
        read(service, tmp_path, copy=False)
    assert "go mod init" in told.value.fix


def module(proxy: Path, path: str, version: str, files: dict[str, str]) -> None:
    """A module as a proxy serves it (go.dev/ref/mod#goproxy-protocol)."""
    place = proxy / path / "@v"
    place.mkdir(parents=True)
    (place / f"{version}.mod").write_text(files["go.mod"])
    (place / f"{version}.info").write_text(json.dumps({"Version": version}))
    with zipfile.ZipFile(place / f"{version}.zip", "w") as out:
        for name, text in files.items():
            out.writestr(f"{path}@{version}/{name}", text)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module proxy in a folder: its modules are of this test alone, by their path."""
    proxy = tmp_path / "proxy"
    monkeypatch.setenv("GOPROXY", proxy.as_uri())
    monkeypatch.setenv("GONOSUMDB", "*")
    return proxy


def of(tmp_path: Path, word: str) -> str:
    """A module path that no other run has put into the shared module cache."""
    return f"ex.org/{word}{abs(hash(str(tmp_path)))}"


def service_with(path: str) -> Layout:
    package = path.rpartition("/")[2]
    return Layout(
        files={
            "svc/go.mod": f"{MOD}\nrequire {path} v1.0.0\n",
            "svc/word.go": f'package main\n\nimport {package} "{path}"\n\nvar word = {package}.Word\n',
        }
    )


def test_a_go_line_of_a_downloaded_module(tmp_path: Path, served: Path) -> None:
    """A later patch level is lowered in a copy of that module; a newer Go is refused by module and version."""
    patch, minor = of(tmp_path, "patch"), of(tmp_path, "minor")
    for path, line in ((patch, "1.26.8"), (minor, "1.27.0")):
        files = {"go.mod": f"module {path}\n\ngo {line}\n", "w.go": 'package w\n\nconst Word = "ok"\n'}
        module(served, path, "v1.0.0", files)
    source = read(lay(tmp_path / "patch", service_with(patch)), tmp_path)
    assert [str(each) for each in source.lowered] == [f"go line of {patch}@v1.0.0/go.mod lowered from 1.26.8 to 1.26.1"]
    assert "go 1.26.1" in (source.tree.copy() / "_beside0/go.mod").read_text()
    with pytest.raises(LabError, match=rf"{minor}@v1\.0\.0 requires Go 1\.27\.0, forms are built with 1\.26\.1"):
        read(lay(tmp_path / "minor", service_with(minor)), tmp_path)


C: Final = 'package w\n\nimport "C"\n\nconst Word = "c"\n'


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        pytest.param(
            {
                "c.go": C,
                "stub.go": '//go:build !cgo\n\npackage w\n\nconst Word = "this package requires cgo to work"\n',
            },
            True,
            id="cgo-sqlite: a stub that says so",
        ),
        pytest.param(
            {"c.go": C, "pure.go": '//go:build !cgo\n\npackage w\n\nconst Word = "ok"\n'},
            False,
            id="a fallback in Go, as net and os/user have",
        ),
        pytest.param({"c.go": C, "w.go": "package w\n"}, True, id="nothing in its place"),
    ],
)
def test_cgo_of_a_module(files: dict[str, str], warned: bool, tmp_path: Path, served: Path) -> None:
    path = of(tmp_path, "c")
    module(served, path, "v1.0.0", {"go.mod": f"module {path}\n\ngo 1.24\n", **files})
    service, told = lay(tmp_path / "src", service_with(path)), []
    read(service, tmp_path, copy=False, sink=lambda record: told.append(getattr(record.event, "text", "")))
    assert "downloading modules of shop (once)" in told
    assert any(f"{path} v1.0.0" in text for text in told) is warned
    source = read(service, tmp_path)
    assert [each.name for each in source.cgo] == [f"{path} v1.0.0"]
    assert [f"{path} v1.0.0" in text for level, text in source.notices() if level == "warning"] == [True] * warned
    assert source.remarks()["cgo"] == f"{path} v1.0.0"


def test_a_module_of_cgo_alone(tmp_path: Path, served: Path) -> None:
    path = of(tmp_path, "only")
    module(served, path, "v1.0.0", {"go.mod": f"module {path}\n\ngo 1.24\n", "c.go": C})
    with pytest.raises(LabError, match=rf"{path} v1\.0\.0 needs cgo"):
        read(lay(tmp_path / "src", service_with(path)), tmp_path)
