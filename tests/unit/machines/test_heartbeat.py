"""Whatever a machine writes on its heartbeat port is a heartbeat or is ignored; nothing of it ends a command.

Case: heartbeat-not-an-object.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.machines import lifecycle
from lab.machines.vm import heartbeat
from lab.model.errors import ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Observed
from lab.system import store
from tests.support import lab_at

GOOD = b'{"boot_id": "a", "image_id": "i", "uptime_s": 1, "ssh": true}'
BAD = [
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"{}",
    b"[" * 3000,
    b'{"a":' * 700,
    b"\xff\xfe\x00",
    b'{"boot_id": "\xff", "image_id": "i", "uptime_s": 1}',
    b'{"boot_id": "\\ud800", "image_id": "i", "uptime_s": 1}',
    b'{"boot_id": ["a"], "image_id": "i", "uptime_s": 1}',
    b'{"boot_id": "a", "image_id": {}, "uptime_s": 1}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": "1"}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": true}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": NaN}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": 1e999}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": 1' + b"0" * 400 + b"}",
    b'{"boot_id": "a", "image_id": "i", "uptime_s": ' + b"9" * 5000 + b"}",
    b'{"boot_id": "a", "image_id": "i", "uptime_s": -1}',
    b'{"boot_id": "a", "image_id": "i", "uptime_s": 1, "ssh": "yes"}',
    b'{"boot_id": "\\u001b[2J", "image_id": "i", "uptime_s": 1}',
    b'{"boot_id": "", "image_id": "i", "uptime_s": 1}',
]


@pytest.mark.parametrize("line", BAD)
def test_heartbeat_not_an_object(tmp_path: Path, line: bytes) -> None:
    log = tmp_path / "heartbeat.jsonl"
    log.write_bytes(b"\n" + line + b"\n")
    assert heartbeat.last_beat(log) is None
    log.write_bytes(b"\n" + GOOD + b"\n" + line[:3000] + b"\n")
    seen = heartbeat.last_beat(log)
    assert seen is not None, "what came before it still counts"
    assert (seen.boot_id, seen.image_id, seen.uptime_s, seen.ssh) == ("a", "i", 1.0, True)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_heartbeat_not_an_object_whatever_it_is(noise: bytes) -> None:
    for line in (noise, GOOD[:20] + noise, GOOD + noise, GOOD.replace(b"1", noise)):
        beat = heartbeat.parse(line)
        assert beat is None or isinstance(beat.uptime_s, float)


def test_a_heartbeat_file_of_a_gigabyte_is_read_at_its_end(tmp_path: Path) -> None:
    log = tmp_path / "heartbeat.jsonl"
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + GOOD + b"\n")
    assert heartbeat.last_beat(log) is not None


def test_one_bad_machine_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_at(tmp_path)

    def status(_lab: Lab, name: str) -> Observed:
        if name == "bad":
            raise ProvisioningError("it is odd", fix="lab down bad")
        return Observed(phase="running", alive=True, reason="up 1 s")

    monkeypatch.setattr(lifecycle, "status", status)
    assert lifecycle.glance(lab, "bad").reason == "it is odd"
    assert lifecycle.glance(lab, "good").alive


def test_an_image_with_a_kernel_of_ones_own_has_a_plus_in_its_id() -> None:
    beat = heartbeat.parse(GOOD.replace(b'"i"', b'"069fd21f83ddbf1a+fe2a963e9e383bbb"'))
    assert beat is not None
    assert beat.image_id == "069fd21f83ddbf1a+fe2a963e9e383bbb"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
@pytest.mark.parametrize("what", ["a pipe", "a device", "a folder", "huge"])
def test_what_is_no_log_is_no_heartbeat_and_is_not_waited_for(tmp_path: Path, what: str) -> None:
    """The case heartbeat-not-an-object: whatever lies where the heartbeat or the console is kept."""
    log = tmp_path / "heartbeat.jsonl"
    if what == "a pipe":
        os.mkfifo(log)
    elif what == "a device":
        log.symlink_to("/dev/zero")
    elif what == "a folder":
        log.mkdir()
    else:
        with log.open("wb") as file:
            file.truncate(20 << 30)
    assert heartbeat.last_beat(log) is None
    assert store.tail(log).strip(b"\0") == b""
