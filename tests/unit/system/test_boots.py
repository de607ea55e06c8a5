"""Each boot of this host has a name of its own, where the system gives one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.system import boots


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="Windows gives a boot no name")
def test_a_boot_has_one_name() -> None:
    assert len(boots.session()) == 36
    assert boots.session() == boots.session()


def test_a_system_that_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(boots, "LINUX", tmp_path / "none")
    assert boots.session() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no script is a program there")
def test_a_mac_is_asked_for_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    program = tmp_path / "sysctl"
    program.write_text('#!/bin/sh\n[ "$*" = "-n kern.bootsessionuuid" ] && echo 3B5C\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert boots.session() == "3B5C"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert boots.session() == ""
