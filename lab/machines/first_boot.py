"""Sets the host key and the login key of a machine from a plain cloud image, before its SSH server first starts.

cloud-init runs it at each boot, early (as a boot command or a boothook). It later deletes and regenerates the default
host keys; ours has its own file name, so no other key is ever presented.
"""

from __future__ import annotations

import shlex
from typing import Final

from lab.model.machine import Seed

HOST_KEY: Final = "/etc/ssh/lab_host_ed25519"
AUTHORIZED: Final = "/etc/ssh/lab_authorized_keys"
SETTINGS: Final = "/etc/ssh/sshd_config.d/10-lab.conf"  # read before what cloud-init and Debian put there
USER: Final = "root"
SSHD: Final = (
    f"HostKey {HOST_KEY}",
    f"AuthorizedKeysFile .ssh/authorized_keys {AUTHORIZED}",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
)


def script(seed: Seed) -> str:
    """A POSIX shell script; running it again changes nothing. It holds the host's private key: keep it to the owner."""
    private = seed.host_key_private.read_text(encoding="utf-8").splitlines()
    return "\n".join(
        (
            "#!/bin/sh",
            "set -eu",
            "umask 077",
            "mkdir -p -m 755 /etc/ssh/sshd_config.d",
            _file(HOST_KEY, private, mode="600"),
            _file(f"{HOST_KEY}.pub", [seed.host_key_public], mode="644"),
            _file(AUTHORIZED, [seed.user_key_public], mode="644"),
            _file(SETTINGS, SSHD, mode="644"),
            # where sshd starts before cloud-init, it has presented another host key until now
            "for unit in ssh sshd; do",
            '  if systemctl is-active --quiet "$unit" 2>/dev/null; then systemctl --no-block reload "$unit"; fi',
            "done",
            "",
        )
    )


def _file(path: str, lines: list[str] | tuple[str, ...], *, mode: str) -> str:
    return f"printf '%s\\n' {shlex.join(lines)} > {path}.new && chmod {mode} {path}.new && mv {path}.new {path}"
