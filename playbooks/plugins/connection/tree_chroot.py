"""Ansible connection into a directory tree on this host: `chroot` and plain copies, nothing else.

ansible-core ships local, ssh, psrp and winrm only. This plugin gives no protection by itself: `lab` runs the whole
of Ansible in private namespaces, with /proc/sys read-only, before it is loaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
    name: tree_chroot
    short_description: Run tasks in a directory tree through chroot
    description: The inventory host's ansible_host is the tree's absolute path.
    options:
      tree:
        description: Absolute path of the tree.
        default: inventory_hostname
        vars:
          - name: inventory_hostname
          - name: ansible_host
"""


class Connection(ConnectionBase):
    """One tree. Every task's interpreter is the tree's own."""

    transport = "tree_chroot"
    has_pipelining = True
    has_tty = False

    def _connect(self) -> Connection:
        if not self._connected:
            self._tree = Path(self.get_option("tree"))
            if os.geteuid() != 0:
                raise AnsibleConnectionFailure(f"chroot into {self._tree} needs root")
            if not (self._tree / "bin/sh").exists():
                raise AnsibleConnectionFailure(f"{self._tree} is not a Linux tree: it has no /bin/sh")
            self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:  # noqa: FBT001, FBT002  # Ansible's signature
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        # Ansible hands every connection a command line for the target's shell; that is its interface.
        argv = ["chroot", str(self._tree), "/bin/sh", "-c", cmd]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            stdout, stderr = child.communicate(in_data)
        return child.returncode, stdout, stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        if not Path(in_path).is_file():
            raise AnsibleFileNotFound(f"no such file: {in_path}")
        shutil.copyfile(in_path, self._inside(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        shutil.copyfile(self._inside(in_path), out_path)

    def _inside(self, path: str) -> Path:
        """The host's name of a place in the tree; refuses one that leaves it through a link."""
        inside = (self._tree / path.lstrip("/")).resolve()
        if not inside.is_relative_to(self._tree.resolve()):
            raise AnsibleConnectionFailure(f"{path} leaves the tree {self._tree}")
        return inside

    def close(self) -> None:
        self._connected = False
