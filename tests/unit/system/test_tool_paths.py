"""Tools are found where each system puts them, PATH first; what is missing is named with that system's command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.system import proc, tool_paths


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / (f"{name}.exe" if os.name == "nt" else name)
    path.write_text("")
    path.chmod(0o755)
    return path


def test_path_is_first_and_the_systems_own_folders_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_paths, "folders", lambda *_: (str(tmp_path / "brew"),))
    monkeypatch.setenv("PATH", str(tmp_path / "on path"))
    brewed = program(tmp_path / "brew", "qemu-img")
    assert proc.which("qemu-img") == brewed
    assert proc.which("qemu-io") is None
    first = program(tmp_path / "on path", "qemu-img")
    assert proc.which("qemu-img") == first


@pytest.mark.parametrize(
    ("system", "environment", "there"),
    [
        ("linux", {}, "/usr/sbin"),
        ("darwin", {}, "/opt/homebrew/bin"),
        ("darwin", {}, "/usr/local/bin"),
        ("win32", {}, r"C:\Program Files\qemu"),
        ("win32", {"ProgramFiles": r"D:\Programme"}, r"D:\Programme\qemu"),
        ("win32", {"SystemDrive": "E:"}, r"E:\msys64\ucrt64\bin"),
        ("win32", {"SystemRoot": r"C:\WINNT"}, r"C:\WINNT\System32\OpenSSH"),
    ],
)
def test_where_each_system_puts_them(system: str, environment: dict[str, str], there: str) -> None:
    assert there in tool_paths.folders(system, environment)


@pytest.mark.parametrize(
    ("system", "tool", "fix"),
    [
        ("linux", "qemu-img", "lab doctor --install"),
        ("darwin", "qemu-system-aarch64", "brew install qemu"),
        ("win32", "qemu-system-x86_64", "winget install SoftwareFreedomConservancy.QEMU"),
        ("darwin", "mke2fs", "install mke2fs, and add its folder to PATH"),
    ],
)
def test_what_is_missing_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, system: str, tool: str, fix: str
) -> None:
    monkeypatch.setattr(tool_paths, "PLATFORM", system)
    monkeypatch.setattr(tool_paths, "folders", lambda *_: ())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PreconditionError) as error:
        proc.require_tool(tool)
    assert error.value.fix == fix
