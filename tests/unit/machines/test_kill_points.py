"""SIGKILL after every journal record of `up` and `down`: the same command converges, and `down` leaves nothing.

The list of kill points is not written here: an undisturbed run's journal gives it.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.machines.steps import UP
from lab.machines.vm import keeper

pytestmark = pytest.mark.faults
HERE = Path(__file__).parent
FAKE = HERE.parent.parent / "fakes" / "qemu.py"


@dataclass(frozen=True)
class Place:
    """A home, and an environment in which qemu is the fake."""

    top: Path

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def machine(self) -> Path:
        return self.home / "machines" / "lab"

    def run(self, verb: str, kill_after: int | None = None) -> dict[str, Any]:
        argv = [sys.executable, str(HERE / "drive_up.py"), verb, str(self.home)]
        argv += [] if kill_after is None else [str(kill_after)]
        path = f"{self.top / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "TMPDIR": str(self.top), "PYTHONPATH": str(HERE.parents[2])}
        ended = subprocess.run(argv, check=False, env=env, capture_output=True, text=True, timeout=120)
        if kill_after is not None:
            assert ended.returncode == -9, ended.stderr
            return {}
        assert ended.returncode == 0, ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    def qemus(self) -> list[psutil.Process]:
        everyone = psutil.process_iter(["cmdline"])
        return [p for p in everyone if any(str(self.home) in word for word in p.info["cmdline"] or [])]

    def records(self) -> int:
        return len((self.machine / "journal.jsonl").read_text().splitlines())


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="lk") as folder:  # short: the control socket's path goes below it
        here = Place(Path(folder))
        (here.top / "bin").mkdir()
        for name, text in (
            ("qemu-system-x86_64", f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n'),
            ("qemu-img", '#!/bin/sh\nfor last; do :; done\n: > "$last"\n'),
        ):
            program = here.top / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        try:
            yield here
        finally:
            for process in here.qemus():
                process.kill()


def no_trace(place: Place, port: int | None) -> None:
    assert place.qemus() == []
    assert {p.name for p in place.home.iterdir()} <= {"cache", "locks", "machines"}
    assert list((place.home / "machines").iterdir()) == []
    assert [p.name for p in place.top.iterdir() if p.name.startswith("lab-")] == []
    if port is not None:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def steps_with_records() -> int:
    """Records of an undisturbed `up`: two for each step that is not skipped (the playbook is baked in)."""
    return 2 * (len(UP) - 1)


def test_an_undisturbed_up_has_the_kill_points_below(place: Place) -> None:
    first = place.run("up")
    assert place.records() == steps_with_records()
    key = (place.machine / "id_ed25519").read_bytes()
    assert stat.S_IMODE((place.machine / "id_ed25519").stat().st_mode) == 0o600
    assert place.run("up") == first, "a second up changes nothing"
    assert place.records() == steps_with_records(), "and does nothing"
    assert (place.machine / "id_ed25519").read_bytes() == key
    assert place.run("down") == {"existed": True}
    no_trace(place, first["port"])
    assert place.run("down") == {"existed": False}


@pytest.mark.parametrize("record", range(1, steps_with_records() + 1))
def test_up_killed_after_a_record_converges(place: Place, record: int) -> None:
    place.run("up", kill_after=record)
    key = (place.machine / "id_ed25519").read_bytes() if (place.machine / "id_ed25519").exists() else None
    answer = place.run("up")
    assert len([p for p in place.qemus() if answer["uuid"] in p.cmdline()]) == 1
    assert len([p for p in place.qemus() if keeper.mark(answer["uuid"]) in p.cmdline()]) == 1
    if key is not None:
        assert (place.machine / "id_ed25519").read_bytes() == key, "no second key"
    assert place.run("up") == answer
    place.run("down")
    no_trace(place, answer["port"])


@pytest.mark.parametrize("record", range(1, steps_with_records() + 1))
def test_down_after_a_killed_up_leaves_nothing(place: Place, record: int) -> None:
    place.run("up", kill_after=record)
    assert place.run("down") == {"existed": True}
    no_trace(place, None)


@pytest.mark.parametrize("record", [1, 2])
def test_down_killed_after_a_record_converges(place: Place, record: int) -> None:
    answer = place.run("up")
    place.run("down", kill_after=record)
    assert place.run("down") == {"existed": True}
    no_trace(place, answer["port"])


def test_up_finds_a_machine_whose_state_is_lost(place: Place) -> None:
    answer = place.run("up")
    for name in ("machine.json", "machine.json.previous"):
        (place.machine / name).write_text("\0garbage")
    assert place.run("up") == answer, "made again from its keys, found again by its UUID"
    place.run("down")
    no_trace(place, answer["port"])


def test_a_stale_socket_and_a_dead_process_are_replaced(place: Place) -> None:
    first = place.run("up")
    for process in place.qemus():
        process.kill()
    psutil.wait_procs(place.qemus(), timeout=5)
    second = place.run("up")
    assert second["uuid"] == first["uuid"]
    place.run("down")
    no_trace(place, second["port"])


def test_down_finds_a_machine_whose_state_is_lost(place: Place) -> None:
    answer = place.run("up")
    for name in ("machine.json", "machine.json.previous"):
        (place.machine / name).unlink()
    assert place.run("down") == {"existed": True}
    no_trace(place, answer["port"])
