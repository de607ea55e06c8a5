"""Runs `guest_claim.py`, which keeps lab's claim and its record of changes on a borrowed machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from lab.guest.wire import WireError, decode, load, shown
from lab.machines.guest_answers import Left
from lab.machines.providers.ssh.check import WORK
from lab.model.errors import ProvisioningError
from lab.remote.base import Transport
from lab.system import resources
from lab.system.wait import Deadline

SCRIPT: Final = "machines/providers/ssh/guest_claim.py"
ENDING: Final = "guest/linux/ending.py"
ANSWER_BYTES: Final = 16 << 20
T = TypeVar("T")
COPY: Final = f"{WORK}/guest_claim.py"
BY_HAND: Final = f"sudo python3 {COPY} restore"
ROLE: Final = "playbooks/roles/machine/files/tree"
SYSCTL_FILE: Final = "etc/sysctl.d/60-lab.conf"
APT_PYTHON: Final = "python3-apt"  # Ansible's apt needs it, and would install it unrecorded
CACHES: Final = ("/var/cache/ldconfig/aux-cache",)  # written by package installations; removed if there was none before
MOUNTS: Final = {
    "/sys/fs/bpf": "bpf",
    "/sys/kernel/tracing": "tracefs",
    "/sys/kernel/debug": "debugfs",
    "/sys/kernel/security": "securityfs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Answer to "claim"."""

    claim: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Answer to "record"."""

    changes: dict[str, Any]
    install: tuple[str, ...]
    held: tuple[str, ...]


class NotDone(ProvisioningError):
    """The remote program ran and reported an error."""


def script() -> bytes:
    """guest_claim.py with ending.py in it: one file, so that the remote copy needs nothing else."""
    keep, ending = ((resources.PACKAGE / name).read_text(encoding="utf-8") for name in (SCRIPT, ENDING))
    return keep.replace('\nENDING = ""', f"\nENDING = {ending!r}", 1).encode()


def ask(link: Transport, verb: str, doc: dict[str, Any], kind: type[T], deadline: Deadline) -> T:
    """Run one verb on the machine; returns its checked answer. Raises NotDone with the reason."""
    result = link.run(["python3", "-I", "-", verb, json.dumps(doc)], deadline, stdin=script(), max_output=ANSWER_BYTES)
    failed = NotDone(f"{verb} failed on the machine", fix="lab logs", detail=result.tail())
    try:
        answer = load(dict[str, Any], result.text().strip().splitlines()[-1])
        if "error" in answer:
            raise NotDone(f"{failed.message}: {shown(answer['error'])}", fix="fix that, then run the command again")
        return decode(kind, answer)
    except (WireError, IndexError) as error:
        failed.message += f": cannot read its answer ({error})"
        raise failed from None


def in_use(link: Transport, claim: dict[str, Any], deadline: Deadline) -> str:
    """The local machine that a `lab` on that host has claimed, as text; "" for a stale claim."""
    folder = str(claim.get("directory", ""))
    if not folder.startswith("/"):
        return "its claim is unreadable"
    if link.run(["test", "-e", folder], deadline).code != 1:
        return folder
    argv = ["python3", "-I", "-", f"{folder}/guest/runs", "look"]
    result = link.run(argv, deadline, stdin=(resources.PACKAGE / ENDING).read_bytes(), max_output=ANSWER_BYTES)
    try:
        left = load(Left, result.stdout).left
    except WireError:
        return f"{folder}, which may still run"
    return f"{folder}: {shown(left[0])} still runs" if left else ""


def wanted() -> dict[str, Any]:
    """Everything that the playbook changes on a borrowed machine, from the playbook's files."""
    tree = resources.root() / ROLE
    files: dict[str, dict[str, str] | None] = {
        "/" + path.relative_to(tree).as_posix(): {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }
    files |= dict.fromkeys(CACHES)
    return {
        "files": files,
        "sysctls": parse_sysctls((tree / SYSCTL_FILE).read_text(encoding="utf-8")),
        "mounts": MOUNTS,
        "packages": packages(),
    }


def packages() -> list[str]:
    """Debian packages for a borrowed machine: tools, no compilers."""
    text = (resources.root() / "playbooks/packages.yml").read_text(encoding="utf-8")
    return [APT_PYTHON, *yaml.safe_load(text)["packages"]["host"]]


def parse_sysctls(text: str) -> dict[str, str]:
    """Name -> value of a sysctl.d file."""
    rows = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in rows}


def variables(install: list[str]) -> dict[str, Any]:
    """The playbook's variables: only the packages to install, and apt in lab's folders."""
    return {
        "packages": {"machine": install},
        "machine_links": {},
        "machine_apt_environment": {"APT_CONFIG": f"{WORK}/apt.conf"},
        "machine_apt_update": False,  # already done in those folders
    }


def kept_at(directory: Path) -> Path:
    """Our copy of the record of changes."""
    return directory / "changes.json"
