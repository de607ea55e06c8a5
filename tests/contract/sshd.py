"""A real OpenSSH server on loopback, thrown away after the test: own host key, own authorized key, own port."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from lab.model.machine import SshEndpoint


@dataclass(frozen=True)
class Sshd:
    process: subprocess.Popen[bytes]
    endpoint: SshEndpoint
    log: Path

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill_sessions(self) -> None:
        """Cut every live connection, as a crashed guest or a dropped network would."""
        with contextlib.suppress(psutil.NoSuchProcess):  # the server itself, while a test ends
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # a session that ended meanwhile
                    if child.name().startswith("sshd"):
                        child.kill()


# what such a server's sessions see: a /var/lib of their own, so that nothing of this host's is claimed or changed
ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=0755 tmpfs /var/lib && exec "$@"', "--")


@contextmanager
def running_sshd(directory: Path, *, kind: str = "ed25519", port: int = 0, elsewhere: bool = False) -> Iterator[Sshd]:
    """Start it; `kind` is the host key's type. A host without sshd fails the test: CI has it.

    `elsewhere`: as on another machine, with a /var/lib of its own (needs root).
    """
    program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert program, "sshd is needed (openssh-server)"
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key, user_key = directory / "host", directory / "user"
    for path, key_kind in ((host_key, kind), (user_key, "ed25519")):
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", key_kind, "-N", "", "-f", str(path)], check=True)
    authorized = directory / "authorized_keys"
    authorized.write_text(user_key.with_suffix(".pub").read_text())
    port = port or free_port()
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "LogLevel DEBUG1\nMaxSessions 64\n"
    )
    log = directory / "sshd.log"
    with log.open("wb") as sink:
        argv = [*(ELSEWHERE if elsewhere else ()), program, "-D", "-e", "-f", str(config)]
        process = subprocess.Popen(argv, stderr=sink, stdin=subprocess.DEVNULL)
    try:
        _answers(port, process, log)
        host_public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
        endpoint = SshEndpoint(
            host="127.0.0.1", port=port, user=getpass.getuser(), identity_file=user_key, host_key=host_public
        )
        server = Sshd(process, endpoint, log)
        yield server
        server.kill_sessions()
    finally:
        process.terminate()
        process.wait(10)


def own_openssh(folder: Path, server: Sshd) -> Path:
    """A folder for PATH whose `ssh` reads a config of this test alone, in which `server` is called `box`."""
    folder.mkdir(exist_ok=True)
    known_hosts, config, program = folder / "known_hosts", folder / "config", folder / "ssh"
    at = server.endpoint
    known_hosts.write_text(f"[{at.host}]:{at.port} {at.host_key}\n")
    config.write_text(
        f"Host box\n  HostName {at.host}\n  Port {at.port}\n  User {at.user}\n  IdentityFile {at.identity_file}\n"
        f"Host *\n  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile none\n"
    )
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    program.chmod(0o755)
    return folder


def with_key(endpoint: SshEndpoint, host_key: str) -> SshEndpoint:
    return replace(endpoint, host_key=host_key)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
