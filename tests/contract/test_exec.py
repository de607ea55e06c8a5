"""exec-stdin: `lab exec` is a good pipe, through a real sshd and on this host itself."""

from __future__ import annotations

import hashlib
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.machines import state
from lab.machines.providers.ssh.provider import SshHandle
from lab.model.machine import Endpoint, LocalEndpoint, Machine, MachineSpec, StoredSsh
from lab.system.wait import Deadline
from tests.contract.sshd import running_sshd
from tests.support import ROOT, lab_at

pytestmark = pytest.mark.contract
LIMIT_S = 60
BIG = 100_000_000


@pytest.fixture(scope="module", params=["ssh", "local"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a machine `m` that was ready once and is asked for nothing before a login."""
    folder = tmp_path_factory.mktemp(request.param)
    with running_sshd(folder / "sshd") as server:
        endpoint: Endpoint = server.endpoint if request.param == "ssh" else LocalEndpoint()
        lab = lab_at(folder / "home")
        place, stored = str(lab.paths.machine("m")), StoredSsh.of(server.endpoint)
        handle = SshHandle(provider="ssh", name="m", machine_id="0" * 32, directory=place, endpoint=stored)
        spec = MachineSpec(name="m", provider="ssh")
        lab.paths.machine("m").mkdir(parents=True)
        state.save(lab, Machine(spec=spec, handle=handle, endpoint=endpoint, ready_boot_id="b"))
        yield folder / "home"


def start(home: Path, argv: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lab", "exec", "--name", "m", "--home", str(home), "--", *argv]
    wanted = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command, cwd=ROOT, **wanted)


def ended(process: subprocess.Popen[bytes], given: bytes | None = None) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(given, timeout=LIMIT_S)
    return process.returncode, out, err


def gone(marker: str) -> None:
    waited = Deadline.after(15)
    while [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-1:] == [marker]]:
        assert not waited.passed(), "the command goes on"
        waited.sleep(0.1)


def test_exec_stdin_is_passed_on(home: Path) -> None:
    assert ended(start(home, ["cat"], stdin=subprocess.PIPE), b"hello\n") == (0, b"hello\n", b"")
    script = b"echo from a script\nexit 5\n"
    assert ended(start(home, ["sh"], stdin=subprocess.PIPE), script) == (5, b"from a script\n", b"")


def test_exec_stdin_of_a_hundred_megabytes(home: Path, tmp_path: Path) -> None:
    block = random.Random(1).randbytes(1_000_000)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(block * (BIG // len(block)))
    with source.open("rb") as given, target.open("wb") as out:
        process = start(home, ["cat"], stdin=given, stdout=out)
        memory = psutil.Process(process.pid)
        most = 0
        while process.poll() is None:
            try:
                most = max(most, memory.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.05)
        assert process.wait(LIMIT_S) == 0
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert most < 150 << 20, "nothing of it is kept"
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.parametrize("stdin", ["null", "closed"])
def test_exec_stdin_that_is_empty_or_closed(home: Path, stdin: str) -> None:
    close = (lambda: os.close(0)) if stdin == "closed" else None
    assert ended(start(home, ["sh", "-c", "cat; echo end"], preexec_fn=close)) == (0, b"end\n", b"")


def test_exec_stdin_that_nobody_types_into_holds_nothing_up(home: Path) -> None:
    near, far = pty.openpty()
    try:
        began = time.monotonic()
        assert ended(start(home, ["echo", "done"], stdin=far))[:2] == (0, b"done\n")
        assert time.monotonic() - began < 20
    finally:
        os.close(near)
        os.close(far)


def test_exec_stdin_may_stay_unread(home: Path) -> None:
    assert ended(start(home, ["true"], stdin=subprocess.PIPE), b"x" * 5_000_000)[0] == 0


def test_output_comes_as_it_is_printed_and_apart(home: Path) -> None:
    process = start(home, ["sh", "-c", "printf one; printf two >&2; read line; echo $line"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(3) == b"one", "while it still runs"
    assert process.stderr.read(3) == b"two"
    assert ended(process, b"answer\n") == (0, b"answer\n", b"")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_exit_codes_are_the_commands_own(home: Path, script: str, code: int) -> None:
    assert ended(start(home, ["sh", "-c", script]))[0] == code


def test_no_setting_of_the_terminal_touches_the_bytes(home: Path) -> None:
    given = bytes(range(256)) + "é−\n".encode()
    odd = {"TERM": "dumb", "COLUMNS": "20", "NO_COLOR": "1", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    env = {**os.environ, **odd}
    assert ended(start(home, ["cat"], stdin=subprocess.PIPE, env=env), given) == (0, given, b"")
    assert ended(start(home, ["printf", "%s", "é−"], env=env)) == (0, "é−".encode(), b"")


def test_ctrl_c_ends_the_command_and_keeps_what_it_printed(home: Path) -> None:
    marker = f"7{os.getpid()}"
    process = start(home, ["sh", "-c", f"echo first; sleep {marker}"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    assert b"bug" not in err
    gone(marker)


def test_a_pipe_that_nobody_reads_ends_it_quietly(home: Path) -> None:
    marker = f"yes-{os.getpid()}"
    process = start(home, ["yes", marker])
    assert process.stdout is not None
    assert process.stdout.readline().strip() == marker.encode()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(LIMIT_S) == 141
    process.stderr.close()
    gone(marker)


def test_a_slow_reader_gets_everything_and_nothing_piles_up(home: Path) -> None:
    process = start(home, ["head", "-c", "30000000", "/dev/zero"])
    assert process.stdout is not None
    time.sleep(7)  # longer than what a command left behind is waited for
    assert psutil.Process(process.pid).memory_info().rss < 150 << 20
    total = 0
    while chunk := process.stdout.read(1 << 20):
        total += len(chunk)
    assert total == 30_000_000
    assert ended(process)[0] == 0


def test_a_closed_output_is_no_failure(home: Path) -> None:
    process = start(home, ["sh", "-c", "echo out; exit 4"], stdout=None, preexec_fn=lambda: os.close(1))
    assert ended(process)[0] == 4
