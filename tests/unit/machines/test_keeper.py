"""guest-fills-host-disk: what a machine writes to its console and heartbeat costs this host a bounded place."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from lab.machines import keys
from lab.machines.images.cloud import boot as cloud_boot
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu import pulse
from lab.machines.vm import heartbeat, keeper, qemu_argv
from lab.system import store
from lab.system.wait import Deadline

UUID = "00000000-1111-2222-3333-444444444444"


def line(uptime_s: float) -> bytes:
    return b"\n" + json.dumps({"boot_id": "b", "image_id": "i", "uptime_s": uptime_s}).encode() + b"\n"


def of(run_dir: Path, folder: Path) -> list[str]:
    return keeper.argv(UUID, run_dir, folder / "serial.log", folder / "heartbeat.jsonl", folder / "qemu.log")


@contextmanager
def kept(folder: Path) -> Iterator[tuple[socket.socket, socket.socket, subprocess.Popen[bytes]]]:
    """The real process, reading two sockets as QEMU serves them: the console's and the heartbeat's."""
    with tempfile.TemporaryDirectory(prefix="lab-k") as run_dir:
        at = Path(run_dir)
        process = subprocess.Popen(of(at, folder), stdin=subprocess.PIPE)
        sockets = []
        try:
            for name in ("serial", "heartbeat"):
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(str(at / keeper.SOCKETS[name]))
                    listener.listen()
                    listener.settimeout(30)
                    sockets.append(listener.accept()[0])
            yield sockets[0], sockets[1], process
        finally:
            for each in (*sockets, process.stdin):
                assert each is not None
                each.close()
            assert process.wait(20) == 0, "it ends with QEMU"


def eventually(folder: Path, wanted: float) -> heartbeat.Heartbeat:
    waited = Deadline.after(20)
    while (beat := heartbeat.last_beat(folder / "heartbeat.jsonl")) is None or beat.uptime_s != wanted:
        assert not waited.passed(), beat
        waited.sleep(0.05)
    return beat


def flood(port: socket.socket, piece: bytes, size: int) -> None:
    for _ in range(size // len(piece)):
        port.sendall(piece)


def test_guest_fills_host_disk(tmp_path: Path) -> None:
    with kept(tmp_path) as (console, port, process):
        port.sendall(line(1))
        eventually(tmp_path, 1)
        floods = [
            threading.Thread(target=flood, args=(console, os.urandom(65536), 12 << 20)),
            threading.Thread(target=flood, args=(port, bytes(65536), 8 << 20)),
        ]
        for each in floods:
            each.start()
        most = 0
        while any(each.is_alive() for each in floods):
            most = max(most, sum(path.stat().st_size for path in tmp_path.iterdir() if path.exists()))
            time.sleep(0.02)
        assert most <= keeper.SERIAL_BYTES * 3 // 2 + 2 * keeper.HEARTBEAT_BYTES
        console.sendall(b"\nKernel panic - not syncing: at last\n")
        flood(port, line(2), 1 << 20)
        port.sendall(b"[]\n" + line(3))
        eventually(tmp_path, 3)
        assert (tmp_path / "heartbeat.jsonl").stat().st_size <= keeper.HEARTBEAT_BYTES
        assert psutil.Process(process.pid).memory_info().rss < 100 << 20
    text = store.tail(tmp_path / "serial.log")
    assert text.endswith(b"\nKernel panic - not syncing: at last\n"), "the end is what stays"
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_is_no_heartbeat_is_not_kept(tmp_path: Path) -> None:
    with kept(tmp_path) as (_, port, _process):
        port.sendall(b"[]\n{}\nnull\n" + b"x" * 100_000 + line(1) + b'{"boot_id": 1}\n')
        seen = eventually(tmp_path, 1)
        assert seen.age_s < 20
        stale = (tmp_path / "heartbeat.jsonl").stat().st_mtime_ns
        flood(port, b"noise\n" * 1000, 60_000)
        port.sendall(line(2)[:20])
        time.sleep(0.5)
        assert (tmp_path / "heartbeat.jsonl").stat().st_mtime_ns == stale, "noise makes no machine look alive"
        port.sendall(line(2)[20:])
        eventually(tmp_path, 2)


def test_it_is_found_and_ended_with_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_process, "QUIT_S", 0.2)
    process = subprocess.Popen(of(tmp_path, tmp_path), stdin=subprocess.PIPE)  # QEMU never came
    try:
        waited = Deadline.after(20)
        while not [p for p in qemu_process.keepers(UUID) if p.pid == process.pid]:
            assert not waited.passed()
            waited.sleep(0.05)
        assert qemu_process.processes(UUID) == [], "it is not taken for QEMU"
        qemu_process.end(tmp_path / "qmp", UUID)
        assert qemu_process.keepers(UUID) == []
    finally:
        process.kill()
        process.communicate()


def test_a_capped_file_goes_on_where_another_keeper_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = keeper.Capped(path, 1000)
    first.write(b"a" * 500)
    second = keeper.Capped(path, 1000)
    second.write(b"b" * 300)
    assert path.stat().st_size == 800
    second.write(b"c" * 300)
    assert path.read_bytes() == b"a" * 200 + b"b" * 300 + b"c" * 300
    second.write(b"d" * 5000)
    assert path.read_bytes()[-500:] == b"d" * 500
    assert path.stat().st_size <= 1000
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


def test_guest_fills_host_disk_by_what_qemu_prints(tmp_path: Path) -> None:
    """A machine can make QEMU warn as often as it likes; the last words are what stays."""
    with kept(tmp_path) as (_, port, process):
        assert process.stdin is not None
        for _number in range(200):
            process.stdin.write(b"qemu: virtio: bogus descriptor\n" * 3000)
        process.stdin.write(b"qemu: the last word\n")
        process.stdin.flush()
        port.sendall(line(1))
        eventually(tmp_path, 1)
        waited = Deadline.after(20)
        while not store.tail(tmp_path / "qemu.log").endswith(b"the last word\n"):
            assert not waited.passed()
            waited.sleep(0.05)
        assert (tmp_path / "qemu.log").stat().st_size <= keeper.LOG_BYTES


def test_it_ends_with_a_qemu_that_never_made_its_sockets(tmp_path: Path) -> None:
    began = time.monotonic()
    process = subprocess.Popen(of(tmp_path, tmp_path), stdin=subprocess.PIPE)
    process.communicate(b"qemu: Could not set up host forwarding rule\n", timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - began < keeper.CONNECT_S / 2
    assert (tmp_path / "qemu.log").read_text() == "qemu: Could not set up host forwarding rule\n"


FLOODING = """#!/usr/bin/env python3
import re, socket, sys
path = re.search("path=(.*?),server", " ".join(sys.argv))[1]
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen()
    port = listener.accept()[0]
for number in range(int(sys.argv[0].endswith("flooding")) * 400):
    port.sendall(bytes(32768))
port.sendall(b"the last word")
"""


def test_guest_fills_host_disk_while_an_image_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console of a bootstrap boot, too, is kept by its end."""
    program = tmp_path / "flooding"
    program.write_text(FLOODING)
    program.chmod(0o755)
    monkeypatch.setitem(qemu_argv.PROGRAMS, "x86_64", str(program))
    serial = tmp_path / cloud_boot.SERIAL
    where = {name: tmp_path / name for name in ("disk", "seed", "go")}
    shape = {"arch": "x86_64", "accel": "tcg", "cpus": 1, "memory_mib": 64, "port": 1}
    boot = cloud_boot.Bootstrap(serial=serial, **where, **shape)  # type: ignore[arg-type]  # each of its own kind
    most = 0
    with cloud_boot.running(boot, keys.seed(tmp_path), Deadline.after(60)) as (_, ended):
        while not ended.done():
            most = max(most, serial.stat().st_size if serial.exists() else 0)
            time.sleep(0.02)
    assert ended.result().ok, ended.result().tail()
    assert 0 < most <= keeper.SERIAL_BYTES
    assert store.tail(serial).endswith(b"the last word")


def test_a_keeper_that_a_signal_stopped_goes_on_when_its_machine_is_asked(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lab-k") as run_dir:
        process = subprocess.Popen(of(Path(run_dir), tmp_path), stdin=subprocess.PIPE)
        try:
            process.send_signal(signal.SIGSTOP)
            waited = Deadline.after(10)
            while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
                assert not waited.passed()
                waited.sleep(0.02)
            assert pulse._continue_keeper(UUID)
            assert not pulse._continue_keeper(UUID)
        finally:
            process.communicate(timeout=20)
