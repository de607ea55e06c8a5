"""Sources as strangers keep them: read-only, with a module beside theirs, links, and an editor's leavings."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from lab import forms
from lab.model.errors import DemoError
from lab.model.machine import HOST_ARCH
from lab.model.service import Service
from tests.support import ROOT, lab_at, test_home

pytestmark = [pytest.mark.forms, pytest.mark.timeout(900)]

FILES = {
    "lib/go.mod": "module example.org/lib\n\ngo 1.26\n",
    "lib/lib.go": 'package lib\n\nconst Said = "from beside"\n',
    "service/go.mod": "module example.org/service\n\ngo 1.26\n\nrequire example.org/lib v0.0.0\n\n"
    "replace example.org/lib => ../lib\n",
    "service/cmd/it/main.go": 'package main\n\nimport (\n\t_ "embed"\n\n\t"example.org/lib"\n)\n\n'
    "//go:embed words.txt\nvar words string\n\nfunc main() { println(lib.Said, words) }\n",
    "shared/words.txt": "and a link",
}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder = tmp_path / "service"
    (folder / "cmd/it/words.txt").symlink_to("../../../shared/words.txt")
    (folder / ".#go.mod").symlink_to("somebody@host.1234")
    (folder / "go.mod").chmod(0o444)
    return dataclasses.replace(forms.service(ROOT), root=folder, main="./cmd/it", build_id_var="")


def test_the_binary_is_made_and_the_source_left_alone(service: Service) -> None:
    before = {path: path.lstat() for path in service.root.parent.rglob("*")}
    built = forms.build(lab_at(test_home()), (forms.catalog(ROOT)["baseline"],), service, arch=HOST_ARCH)
    said = subprocess.run([built["baseline"].path], capture_output=True, text=True, check=True, timeout=20).stderr
    assert said.strip() == "from beside and a link"
    after = {path: path.lstat() for path in service.root.parent.rglob("*")}
    assert {path: seen.st_mtime_ns for path, seen in after.items()} == {
        p: seen.st_mtime_ns for p, seen in before.items()
    }


def as_workspace(top: Path, at: str) -> None:
    """The module beside is one of a workspace instead: go.mod does not say where it is, go.work at `at` does."""
    go_mod = top / "service/go.mod"
    go_mod.chmod(0o644)
    go_mod.write_text("module example.org/service\n\ngo 1.26\n")
    work = top / at
    uses = "\t.\n\t./lib\n" if at.startswith("service") else "\t./service // ours\n\t./lib\n"
    if at.startswith("service"):
        (top / "lib").rename(top / "service/lib")
    work.write_text(f"go 1.26\n\nuse (\n{uses})\n")


@pytest.mark.parametrize("at", ["go.work", "service/go.work"])
def test_a_workspace(service: Service, at: str) -> None:
    as_workspace(service.root.parent, at)
    built = forms.build(lab_at(test_home()), (forms.catalog(ROOT)["baseline"],), service, arch=HOST_ARCH)
    said = subprocess.run([built["baseline"].path], capture_output=True, text=True, check=True, timeout=20).stderr
    assert said.strip() == "from beside and a link"


@pytest.mark.parametrize(
    ("name", "text", "message", "fix"),
    [
        ("go.mod", "module example.org/service\n\ngo 1.99\n", "requires Go 1.99", "lower the go line of go.mod"),
        (
            "cmd/it/c.go",
            'package main\n\nimport "C"\n\nconst words2 = 1\n',
            "does not build",
            "remove the need for cgo in cmd/it/c",
        ),
        ("cmd/it/c.go", "package main\n\nfunc f() int { return words }\n", "does not build", "correct the source"),
    ],
)
def test_a_source_that_cannot_be_built(service: Service, name: str, text: str, message: str, fix: str) -> None:
    (service.root / "go.mod").chmod(0o644)
    (service.root / name).write_text(text)
    if "C" in text:
        main = service.root / "cmd/it/main.go"
        main.write_text(main.read_text().replace("println(", "println(words2, "))
    with pytest.raises(DemoError, match=message) as told:
        forms.build(lab_at(test_home()), (forms.catalog(ROOT)["baseline"],), service, arch=HOST_ARCH)
    assert fix in told.value.fix
