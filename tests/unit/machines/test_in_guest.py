"""Ansible inside a machine: which pins, what travels, and what a machine that cannot run it hears."""

from __future__ import annotations

import io
import re
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.machines.provisioning import in_guest
from lab.model.errors import ConfigError, PreconditionError
from lab.model.loading.load_config import load
from lab.system import wheels
from lab.system.proc import Result
from lab.system.wait import Deadline
from tests.support import lab_at

PINS = in_guest.PINS.read_text(encoding="utf-8")


def test_the_pins_are_those_of_the_lock(repo: Path) -> None:
    lock = (repo / "requirements/run.txt").read_text(encoding="utf-8")
    for name in ("ansible-core", "jinja2", "markupsafe", "packaging", "pyyaml"):
        pattern = rf"^{name}==(\S+)[^\n]*\\\n((?:    --hash=\S+(?: \\)?\n)+)"
        locked = re.findall(pattern, lock, re.MULTILINE)
        assert locked
        assert re.findall(pattern, PINS, re.MULTILINE) == locked


@pytest.mark.parametrize(("python", "ansible"), [((3, 11), "2.19"), ((3, 12), "2.21"), ((3, 13), "2.21")])
def test_the_machines_python_decides_which_ansible(python: tuple[int, int], ansible: str) -> None:
    kept = in_guest.pins(PINS, python)
    assert re.findall(r"ansible-core==(\d+\.\d+)", kept) == [ansible]
    assert "python_full_version" not in kept
    assert kept.count("==") == 5


def test_only_what_ansible_needs_travels(tmp_path: Path) -> None:
    for name in ("ansible/x.py", "ansible_test/y.py", "ansible/galaxy/z.py", "bin/ansible", "ansible/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("pass\n")
    with tarfile.open(fileobj=io.BytesIO(in_guest.packed(tmp_path))) as tar:
        names = set(tar.getnames())
    assert {name for name in names if name.startswith("site/")} == {"site/ansible/x.py"}
    assert {"playbooks/machine.yml", "playbooks/roles/machine/tasks/main.yml"} <= names
    assert not any("init/" in name or "\\" in name for name in names)


class Machine:
    """A link whose machine answers one question."""

    def __init__(self, code: int, text: str) -> None:
        self.result = Result(argv=(), code=code, stdout=text.encode(), stderr=b"sh: python3: not found")

    def run(self, argv: Sequence[str], deadline: Deadline, **_: Any) -> Result:
        return self.result


@pytest.mark.parametrize(("code", "text", "told"), [(127, "", "no Python"), (0, "3 9 x86_64\n", "needs 3.11")])
def test_a_machine_that_cannot_is_told_so(tmp_path: Path, code: int, text: str, told: str) -> None:
    link: Any = Machine(code, text)
    with pytest.raises(PreconditionError, match=told) as error:
        in_guest.apply(lab_at(tmp_path), link, tags=["image"], log=tmp_path / "log", deadline=Deadline.after(9))
    assert error.value.fix


def test_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, auto in (("linux", False), ("darwin", False), ("win32", True)):
        monkeypatch.setattr(in_guest, "PLATFORM", platform)
        assert in_guest.inside("auto") is auto
        assert in_guest.inside("guest")
        assert not in_guest.inside("host")
    with pytest.raises(ConfigError, match="--ansible: 'moon' is not one of auto, host, guest"):
        load({}, {}, {"machine.ansible": "moon"})


def test_wheels_are_asked_for_the_machine_not_for_this_host() -> None:
    there = wheels.For(python=(3, 11), arch="aarch64")
    assert there.words(uv=True) == ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.11"]
    assert "--platform=manylinux2014_aarch64" in there.words(uv=False)
    assert sys.executable not in there.words(uv=True)
