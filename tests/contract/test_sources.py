"""Sources as strangers keep them: read-only, with a module beside theirs, links, and an editor's leavings."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from lab import forms
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
