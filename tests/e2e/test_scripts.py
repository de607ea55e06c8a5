"""The scripts of tests/e2e/scripts on a real, emulated machine, in order; each builds on the one before."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lab.machines.providers.qemu import process as qemu_process
from tests.e2e import script
from tests.e2e.conftest import short_shop
from tests.support import test_home

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))
MACHINE = test_home() / "machines/e2e"
pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]


def play(name: str, cwd: Path) -> None:
    path = next(path for path in SCRIPTS if path.stem == name)
    ran = list(script.run(path, home=test_home(), cwd=cwd))
    assert len(ran) == len(script.parse(path.read_text(encoding="utf-8")))


def test_machine(tmp_path: Path) -> None:
    play("1-machine", tmp_path)


def test_demo(tmp_path: Path) -> None:
    shutil.rmtree(test_home() / "runs", ignore_errors=True)  # whoever reads results next reads these
    short_shop(tmp_path)
    play("2-demo", tmp_path)


def test_snapshot(tmp_path: Path) -> None:
    play("3-snapshot", tmp_path)


def test_down_leaves_no_process_port_or_file(tmp_path: Path) -> None:
    """Everything that names the machine is looked for: its processes, its port, files of its own or of its making."""
    doc = json.loads((MACHINE / "machine.json").read_text(encoding="utf-8"))
    data, port = doc["handle"]["data"], doc["endpoint"]["port"]
    assert len(qemu_process.processes(data["uuid"])) == 1
    assert answers(port)
    assert naming("e2e"), "a search that finds nothing while the machine is there would find nothing afterwards"
    before = cache()

    play("4-down", tmp_path)

    assert qemu_process.processes(data["uuid"]) == []
    assert not answers(port)
    assert not Path(data["run_dir"]).exists()
    assert naming("e2e") == []
    assert naming(data["uuid"]) == []
    assert before <= cache(), "the cache is not the machine's"


def test_every_script_was_played() -> None:
    """A new script needs its place above."""
    assert [path.stem for path in SCRIPTS] == ["1-machine", "2-demo", "3-snapshot", "4-down"]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def naming(word: str) -> list[str]:
    """Command lines of processes, and files outside cache, results and logs, that name the machine."""
    folder = test_home() / "machines"
    shown = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout.splitlines()
    found = [line for line in shown if f"{folder}/{word}" in line or f"uuid {word}" in line or f"uuid={word}" in line]
    return found + [str(path) for path in folder.rglob("*") if word in path.relative_to(folder).parts]


def cache() -> set[str]:
    """Files of images and artifacts; the witness of the last check may be written again."""
    kept = (test_home() / "cache" / part for part in ("images", "artifacts"))
    return {os.path.relpath(path, test_home()) for folder in kept for path in folder.rglob("*") if path.is_file()}
