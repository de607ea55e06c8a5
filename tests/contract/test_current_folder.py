"""Nothing of the current folder or its parents is read or run, but for lab.yaml: the kernel tells what was opened."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support import run_lab

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]
IN_ACCESS, IN_OPEN = 0x1, 0x20
FILES = (
    *("uv.toml", "pyproject.toml", "setup.cfg", "tox.ini", "pip.conf", "pip.ini", ".python-version", ".tool-versions"),
    *("sitecustomize.py", "usercustomize.py", "lab.py", "typer.py", "yaml.py", "stranger.pth", "pyvenv.cfg", "python3"),
    *("go.mod", "go.work", "go.env", ".env", ".envrc", ".netrc", "ansible.cfg", "hosts", "Vagrantfile", "lima.yaml"),
    *(".ssh/config", ".git/config", ".config/uv/uv.toml", ".vagrant.d/Vagrantfile", "qemu-system-x86_64", "go", "ssh"),
    *("service.yaml", "scenario.yaml", "config.yaml", "known_hosts", "ssh_config", "bios-256k.bin", "kvmvapic.bin"),
)
WORDS = ("doctor", "up --plan", "runs", "cache keys", "demo nosuch", "down")


@contextlib.contextmanager
def opened(folders: Sequence[Path]) -> Iterator[set[str]]:
    """The names of what is opened or read in these folders while it lasts."""
    libc, found = ctypes.CDLL(None, use_errno=True), set[str]()
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for folder in folders:
            assert libc.inotify_add_watch(watch, os.fsencode(folder), IN_ACCESS | IN_OPEN) >= 0
        yield found
        with contextlib.suppress(BlockingIOError):
            while data := os.read(watch, 1 << 16):
                while data:
                    length = struct.unpack_from("iIII", data)[3]
                    found.add(data[16 : 16 + length].rstrip(b"\0").decode() or "a folder")
                    data = data[16 + length :]
    finally:
        os.close(watch)


def test_uv_toml_code_execution_and_its_siblings(tmp_path: Path) -> None:
    below = tmp_path / "stranger" / "below"
    for folder in (below.parent, below):
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / name).chmod(0o755)
    (below / "lab.yaml").write_text("schema: 1\n")
    folders = [below.parent, *(path for path in below.parent.rglob("*") if path.is_dir())]
    path = f".:{os.environ['PATH']}:bin::{below.name}"
    with opened(folders) as found:
        for words in WORDS:
            ran = run_lab(*words.split(), home=tmp_path / "home", cwd=below, env={"PYTHONSAFEPATH": "1", "PATH": path})
            assert "bug" not in ran.stderr
    assert found == {"lab.yaml"}
    with opened(folders) as found:
        (below / "go.work").read_text()
    assert found == {"go.work"}, "what is opened is seen"
