"""A machine of a cloud image, as far as cloud-init's early commands and its SSH server go.

The script it is given really runs, and a real sshd serves what it made: both in a mount namespace where /etc/ssh, /run
and /var/lib are empty. There is no systemd: what it is asked for goes to the log. Needs root.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psutil

SSHD_CONFIG = "Include /etc/ssh/sshd_config.d/*.conf\nPidFile none\nUsePAM no\n"
BOOT = r"""set -eu
for place in /etc/ssh /run /var/lib; do mount -t tmpfs -o mode=0755 tmpfs "$place"; done
mkdir -m 755 /run/sshd /run/bin
printf '#!/bin/sh\necho "systemctl $*"\n[ "$1" != is-active ]\n' > /run/bin/systemctl
chmod 755 /run/bin/systemctl
printf '%s' "$1" > /etc/ssh/sshd_config
PATH="/run/bin:$PATH" sh -c "$2"
exec "$3" -D -e -o ListenAddress=127.0.0.1 -p "$4"
"""


STARTED: dict[int, subprocess.Popen[bytes]] = {}  # by this process; others' are only watched


def boot(script: str, port: int, log: Path) -> int:
    """Start it; the pid of its sshd, which outlives us."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program, "sshd is needed (openssh-server)"
    argv = ["unshare", "--mount", "sh", "-c", BOOT, "boot", SSHD_CONFIG, script, program, str(port)]
    with log.open("ab") as sink:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
    STARTED[child.pid] = child
    return child.pid


def server(port: int) -> psutil.Process:
    """The one that listens there; sshd keeps its command line in its title."""
    found = psutil.process_iter(["cmdline"])
    return next(
        each for each in found if f"ListenAddress=127.0.0.1 -p {port} " in f"{' '.join(each.info['cmdline'] or ())} "
    )


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def end(pid: int) -> None:
    """It, and every session in it."""
    if not alive(pid):
        return
    machine = psutil.Process(pid)
    gone = [*machine.children(recursive=True), machine]
    for process in gone:
        process.kill()
    if pid in STARTED:
        STARTED.pop(pid).wait(5)
    psutil.wait_procs(gone, timeout=5)
