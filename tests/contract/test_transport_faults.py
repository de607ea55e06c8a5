"""What only a network can do to a Transport: lose it, or put a stranger behind the port."""

from __future__ import annotations

import contextlib
import hashlib
import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.model.config import Config
from lab.model.errors import ProvisioningError, SecurityStop, TransientError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.paths import Paths
from lab.remote import connect
from lab.remote.hostkeys import fingerprint
from lab.remote.ssh_login import shown_key
from lab.system.wait import Deadline
from tests.contract.sshd import Sshd, free_port, running_sshd, with_key

pytestmark = pytest.mark.contract


def soon(seconds: float = 30) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_a_connection_killed_mid_get_resumes(lab: Lab, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(noise(40_000_000))
    with running_sshd(tmp_path / "sshd") as server:
        with connect(lab, server.endpoint, soon()) as link:
            with pytest.raises(TransientError):
                link.get(
                    str(source),
                    target,
                    soon(60),
                    max_bytes=10**9,
                    progress=_once(server.kill_sessions, after=1_000_000),
                )
            with pytest.raises(TransientError):
                link.run(["true"], soon(5))
        have = target.stat().st_size
        assert 1_000_000 <= have < 40_000_000
        with connect(lab, server.endpoint, soon()) as link:
            link.get(str(source), target, soon(60), max_bytes=10**9, offset=have)
    assert _sha(target) == _sha(source)


def test_a_connection_killed_mid_put_leaves_the_old_file(lab: Lab, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "there" / "target"
    source.write_bytes(noise(60_000_000))
    target.parent.mkdir()
    target.write_bytes(b"old")
    with running_sshd(tmp_path / "sshd") as server, connect(lab, server.endpoint, soon()) as link:
        threading.Thread(target=_kill_when_big, args=(server, target.parent, 500_000), daemon=True).start()
        with pytest.raises(TransientError):
            link.put(source, str(target), soon(60))
    assert target.read_bytes() == b"old"
    gone = Deadline.after(5)
    while (left := sorted(p.name for p in target.parent.iterdir())) != ["target"]:
        assert not gone.passed(), left
        gone.sleep(0.1)


def test_a_killed_connection_ends_a_running_call(lab: Lab, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server, connect(lab, server.endpoint, soon()) as link:
        threading.Timer(0.5, server.kill_sessions).start()
        began = time.monotonic()
        with pytest.raises(TransientError, match="lost"):
            link.run(["sleep", "30"], soon())
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_another_host_key_stops_everything(lab: Lab, tmp_path: Path, server: Sshd, kind: str) -> None:
    with running_sshd(tmp_path / "sshd", kind=kind) as stranger:
        with pytest.raises(SecurityStop) as caught:
            connect(lab, with_key(stranger.endpoint, server.endpoint.host_key), soon())
        assert caught.value.exit_code == 9
        assert fingerprint(server.endpoint.host_key) in caught.value.message
        assert fingerprint(stranger.endpoint.host_key) in caught.value.message
        assert "userauth-request" not in stranger.log_text(), "not even a user name may be sent"


def test_the_right_key_does_authenticate_in_that_log(lab: Lab, server: Sshd) -> None:
    with connect(lab, server.endpoint, soon()):
        assert "userauth-request" in server.log_text(), "the proof above must be able to fail"


def test_nobody_listens(lab: Lab, server: Sshd) -> None:
    with pytest.raises(ProvisioningError, match="cannot connect to"):
        connect(lab, replace(server.endpoint, port=free_port()), soon(5))


def test_a_server_that_never_speaks(lab: Lab, server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ProvisioningError):
            connect(lab, replace(server.endpoint, port=silent.getsockname()[1]), soon(2))
        assert time.monotonic() - began < 6


def test_a_refused_user_key(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "other") as other, pytest.raises(ProvisioningError, match="refused"):
        connect(lab, replace(server.endpoint, identity_file=other.endpoint.identity_file), soon(10))


def _once(act: Callable[[], None], *, after: int) -> Callable[[int], None]:
    done = False

    def progress(copied: int) -> None:
        nonlocal done
        if copied >= after and not done:
            done = True
            act()

    return progress


def _kill_when_big(server: Sshd, directory: Path, size: int) -> None:
    for _ in range(2000):
        if any(p.stat().st_size >= size for p in directory.glob("*.part.*")):
            server.kill_sessions()
            return
        time.sleep(0.005)


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize(
    "says", [b"x" * 65536, b"SSH-2.0-x\r\n" + b"\xff\xff\xff\xf0" + b"y" * 60000, b"no ssh\n" * 9000]
)
def test_fetch_unbounded_greeting_or_packet_of_a_server(lab: Lab, server: Sshd, says: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with socket.create_server(("127.0.0.1", 0)) as liar:
        threading.Thread(target=_say, args=(liar, says), daemon=True).start()
        for ask in (
            lambda port: connect(lab, replace(server.endpoint, port=port), soon(20)),
            lambda port: shown_key("127.0.0.1", port, (), soon(20)),
        ):
            began = time.monotonic()
            with pytest.raises(ProvisioningError):
                ask(liar.getsockname()[1])
            assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def _say(liar: socket.socket, says: bytes) -> None:
    while True:
        try:
            near, _ = liar.accept()
        except OSError:
            return
        with near, contextlib.suppress(OSError):
            while True:
                near.sendall(says)
