"""Module proxies and private modules count wherever the person's `go` has them from; nothing else of its settings.

Case: goenv-proxy-ignored.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from lab.system import proc, toolchain
from lab.system.wait import Deadline
from tests.support import lab_at, pinned_go

pytestmark = pytest.mark.contract
MODULE = "example.test/onlyhere"


@pytest.fixture
def proxy(tmp_path: Path) -> Path:
    """A module that only this proxy has."""
    place = tmp_path / "proxy" / MODULE / "@v"
    place.mkdir(parents=True)
    mod = f"module {MODULE}\n\ngo 1.24\n"
    (place / "v1.0.0.mod").write_text(mod)
    (place / "v1.0.0.info").write_text('{"Version":"v1.0.0"}')
    (place / "list").write_text("v1.0.0\n")
    with zipfile.ZipFile(place / "v1.0.0.zip", "w") as packed:
        packed.writestr(f"{MODULE}@v1.0.0/go.mod", mod)
        packed.writestr(f"{MODULE}@v1.0.0/h.go", "package onlyhere\n")
    return tmp_path / "proxy"


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person without any Go settings: the folder of their configuration."""
    for name in [name for name in os.environ if name.startswith("GO")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/go").mkdir(parents=True)
    return tmp_path / "config/go/env"


def downloads(tmp_path: Path) -> bool:
    lab = lab_at(tmp_path / "home")
    argv = [pinned_go().go, "mod", "download", "-json", f"{MODULE}@v1.0.0"]
    said = proc.run(argv, deadline=Deadline.after(60), env=toolchain.environment(lab, GOFLAGS="-modcacherw"))
    return said.ok and Path(json.loads(said.text())["Dir"]).is_dir()


@pytest.mark.parametrize("how", ["go env -w", "GOENV", "variables"])
def test_goenv_proxy_ignored(
    proxy: Path, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    settings = {"GOPROXY": f"file://{proxy}", "GONOSUMDB": "example.test"}
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    if how == "variables":
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
    elif how == "GOENV":
        (tmp_path / "elsewhere").write_text(lines)
        monkeypatch.setenv("GOENV", str(tmp_path / "elsewhere"))
    else:
        clean.write_text(lines)
    assert downloads(tmp_path)


def test_what_a_persons_go_says_of_builds_does_not_count(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file, and of a stranger's go.mod, go.work and go.env in the current folder."""
    flags = "GOFLAGS=-tags=theirs\nGOARCH=mips\nGOTOOLCHAIN=go1.99.9\nCGO_ENABLED=1\n"
    clean.write_text(f"GOPRIVATE=own.example\n{flags}GOEXPERIMENT=nothing-that-there-is\n")
    for name in ("go.mod", "go.work", "go.env"):
        (tmp_path / name).write_text("toolchain no-such\n")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    lab = lab_at(tmp_path / "home")
    made = toolchain.environment(lab)
    assert made["GOPRIVATE"] == made["GONOSUMDB"] == "own.example"
    assert not {"GOFLAGS", "GOARCH", "GOEXPERIMENT"} & made.keys()
    said = proc.run([pinned_go().go, "env", "-json"], deadline=Deadline.after(20), env=made)
    told = json.loads(said.text())
    assert (told["GOFLAGS"], told["GOTOOLCHAIN"], told["CGO_ENABLED"], told["GOWORK"]) == ("", "local", "0", "off")
    assert toolchain.find(lab, pinned_go().version, deadline=Deadline.after(20)).version == pinned_go().version
