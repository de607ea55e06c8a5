"""Asks `guest_claim.py`, which keeps our claim and our journal on a machine that is somebody else's."""

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
COPY: Final = f"{WORK}/keep.py"
BY_HAND: Final = f"sudo python3 {COPY} give-back"
ROLE: Final = "playbooks/roles/machine/files/tree"
SYSCTL_FILE: Final = "etc/sysctl.d/60-lab.conf"
APT_PYTHON: Final = "python3-apt"  # Ansible's apt needs it, and would add it without telling anybody
CACHES: Final = ("/var/cache/ldconfig/aux-cache",)  # made by installing packages; goes where there was none
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
class Noted:
    """Answer to "note"."""

    changes: dict[str, Any]
    install: tuple[str, ...]
    held: tuple[str, ...]


class NotDone(ProvisioningError):
    """The program there was reached and says no."""


def script() -> bytes:
    """guest_claim.py with ending.py in it: one file, so that the copy there needs nothing else."""
    keep, ending = ((resources.PACKAGE / name).read_text(encoding="utf-8") for name in (SCRIPT, ENDING))
    return keep.replace('\nENDING = ""', f"\nENDING = {ending!r}", 1).encode()


def ask(link: Transport, verb: str, doc: dict[str, Any], kind: type[T], deadline: Deadline) -> T:
    """One verb there; its answer, checked. Raises NotDone with its reason."""
    result = link.run(["python3", "-I", "-", verb, json.dumps(doc)], deadline, stdin=script(), max_output=ANSWER_BYTES)
    failed = NotDone(f"that machine could not do {verb}", fix="lab logs", detail=result.tail())
    try:
        answer = load(dict[str, Any], result.text().strip().splitlines()[-1])
        if "error" in answer:
            raise NotDone(f"{failed.message}: {shown(answer['error'])}", fix="fix that, then run the command again")
        return decode(kind, answer)
    except (WireError, IndexError) as error:
        failed.message += f": its answer cannot be read ({error})"
        raise failed from None


def in_use(link: Transport, claim: dict[str, Any], deadline: Deadline) -> str:
    """Whether the machine that a `lab` there claimed is still there, in words; "" for a stale claim."""
    there = str(claim.get("directory", ""))
    if not there.startswith("/"):
        return "whose claim cannot be read"
    if link.run(["test", "-e", there], deadline).code != 1:
        return there
    argv = ["python3", "-I", "-", f"{there}/guest/runs", "look"]
    asked = link.run(argv, deadline, stdin=(resources.PACKAGE / ENDING).read_bytes(), max_output=ANSWER_BYTES)
    try:
        left = load(Left, asked.stdout).left
    except WireError:
        return f"{there}, of which it cannot be told whether it runs"
    return f"{there}: {shown(left[0])} still runs" if left else ""


def wanted() -> dict[str, Any]:
    """Everything that the playbook would change on such a machine, read from the playbook's own files."""
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
    """Debian packages for a machine that is not ours: tools, no compilers."""
    text = (resources.root() / "playbooks/packages.yml").read_text(encoding="utf-8")
    return [APT_PYTHON, *yaml.safe_load(text)["packages"]["host"]]


def parse_sysctls(text: str) -> dict[str, str]:
    """Name -> value of a sysctl.d file."""
    rows = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in rows}


def variables(install: list[str]) -> dict[str, Any]:
    """The playbook's variables: only what can be added, and apt in folders of ours."""
    return {
        "packages": {"machine": install},
        "machine_links": {},
        "machine_apt_environment": {"APT_CONFIG": f"{WORK}/apt.conf"},
        "machine_apt_update": False,  # just done, into those folders
    }


def kept_at(directory: Path) -> Path:
    """Our own copy of the journal of changes."""
    return directory / "changes.json"
