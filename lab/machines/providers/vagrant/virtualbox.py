"""Queries and powers off VirtualBox machines by `VBoxManage`. Written from its documentation, never run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lab.machines.providers.vagrant.cli import DOT
from lab.machines.providers.vagrant.libvirt import DomainStatus
from lab.model.errors import LabError, ProvisioningError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.wait import Deadline

PROGRAM: Final = "VBoxManage"
FIX: Final = "install VirtualBox, then run the command again"
ASK_S: Final = 20.0
STATES: Final = {"poweroff": "shut off", "aborted": "crashed", "saved": "shut off", "stuck": "hung"}
_STATE: Final = re.compile(r'^VMState="([a-z]+)"', re.MULTILINE)
_FORWARD: Final = re.compile(r'^Forwarding\(\d+\)="ssh,tcp,([0-9.]*),(\d+),', re.MULTILINE)


def ask(lab: Lab, work: Path, name: str) -> DomainStatus:
    """Its state and the forwarded SSH port ("address": HOST:PORT)."""
    found = _id(work, name)
    if not found:
        return DomainStatus(state="absent", reason="Vagrant has no machine")
    argv = [PROGRAM, "showvminfo", found, "--machinereadable"]
    try:
        result = proc.run([proc.require_tool(PROGRAM, fix=FIX), *argv[1:]], deadline=Deadline.after(ASK_S, lab.cancel))
    except LabError as error:
        return DomainStatus(state="deaf", reason=error.message)
    if not result.ok:
        return DomainStatus(state="absent", reason="VirtualBox has no such machine")
    return parse(result.text())


def parse(text: str) -> DomainStatus:
    state = _STATE.search(text)
    forward = _FORWARD.search(text)
    address = "" if forward is None else f"{forward[1] or '127.0.0.1'}:{forward[2]}"
    name = "no state" if state is None else state[1]
    return DomainStatus(state=STATES.get(name, name), address=address)


def end(lab: Lab, work: Path, name: str) -> None:
    """Power it off. Idempotent."""
    if ask(lab, work, name).state in {"absent", "shut off", "crashed"}:
        return
    argv = [proc.require_tool(PROGRAM, fix=FIX), "controlvm", _id(work, name), "poweroff"]
    proc.check(argv, deadline=Deadline.after(ASK_S, lab.cancel), error=ProvisioningError, fix="lab logs")


def _id(work: Path, name: str) -> str:
    try:
        return (work / DOT / "machines" / name / "virtualbox/id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
