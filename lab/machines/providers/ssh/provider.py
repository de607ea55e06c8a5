"""Any Linux with an SSH login, such as a colleague's machine. It is borrowed, so it is restored afterwards.

Without `--allow-host-changes`: files in /var/lib/lab, lab's processes and cgroup, and missing mounts of kernel file
systems. With it also the playbook, each change recorded before on both sides. `delete` undoes all of it; what was
changed since stays, with a warning. It never reboots the machine and never removes anything that was there before.
One `lab` at a time uses a machine: the claim is a file on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.machines import guest_answers
from lab.machines.guest_answers import Left
from lab.machines.providers.ssh import check as ssh_check
from lab.machines.providers.ssh import claim as ssh_claim
from lab.machines.providers.ssh import openssh_config
from lab.model.errors import LabError, Locked, PreconditionError, ProvisioningError, SecurityStop, Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, Handle, MachineSpec, Observed, Seed, SshEndpoint, StoredSsh
from lab.remote import connect
from lab.remote.base import Transport
from lab.system import store
from lab.system.documents import Source, read
from lab.system.wait import Deadline


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """HOST_FILE: the machine's endpoint with its host key. Earlier versions did not write `machine_id`."""

    endpoint: StoredSsh
    accel: str
    address: str = ""
    machine_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SshHandle(Handle):
    """`endpoint`: None if it was never claimed."""

    endpoint: StoredSsh | None = None
    address: str = ""

    @property
    def made(self) -> bool:
        return self.endpoint is not None


FEATURES: Final = Features(isolated=False, status_by_login=True)
TESTED_WITH: Final = "a plain Debian 12 in QEMU, as a user with sudo; an OpenSSH server on loopback, as root"
HANDLE: Final = SshHandle
HOST_FILE: Final = "host.json"  # its endpoint and host key: written before anything is changed on it
ASK_S: Final = 30.0
RECORD_S: Final = 900.0  # apt-get update is slow on an emulated machine
GIVE_BACK_S: Final = 900.0
# first line: the boot id; the rest: the claim
INSPECT: Final = f"cat /proc/sys/kernel/random/boot_id; cat {ssh_check.WORK}/claim.json 2>/dev/null"


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Whether it is reachable, allows the login and meets the requirements; changes nothing. Raises SecurityStop."""
    directory = lab.paths.machine(spec.name)
    try:
        return _look(lab, spec, directory)[2]
    except SecurityStop:
        raise
    except LabError as error:
        return [Finding(name="ssh", verdict="fail", message=error.message, fix=error.fix)]


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> SshHandle:
    """Claim it. Raises Locked naming the holder, PreconditionError for a requirement, SecurityStop (host key)."""
    endpoint, facts, found = _look(lab, spec, directory)
    failed = [finding for finding in found if finding.verdict == "fail"]
    if failed:
        raise PreconditionError(failed[0].message, fix=failed[0].fix)
    if facts.local is not None:
        _refuse_held(lab, spec, endpoint, facts.local)
    accel = "tcg" if facts.emulated else "none"
    host = Host(endpoint=StoredSsh.of(endpoint), accel=accel, address=spec.address, machine_id=seed.machine_id)
    store.write_json(directory / HOST_FILE, dataclasses.asdict(host))
    mine = {
        "machine_id": seed.machine_id,
        "name": spec.name,
        "home": str(directory.parent.parent),
        "by": f"{getpass.getuser()}@{socket.gethostname()}",
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with _session(lab, endpoint) as link:
        claim = ssh_claim.ask(link, "claim", mine, ssh_claim.Claimed, Deadline.after(ASK_S, lab.cancel)).claim
        if claim.get("machine_id") != seed.machine_id:
            name, home, by = (ssh_check.word(claim, key) for key in ("name", "home", "by"))
            fix = f"ask {by} to run lab down {name} --home {home}; if that home no longer exists, run on the machine: "
            fix += ssh_claim.BY_HAND
            (directory / HOST_FILE).unlink()
            raise Locked(f"{spec.address} is already claimed by {ssh_check.held_by(claim)}", fix=fix)
        link.put_bytes(ssh_claim.script(), ssh_claim.COPY, Deadline.after(ASK_S, lab.cancel), mode=0o700)
    return recover(seed, spec.name, directory)


def _refuse_held(lab: Lab, spec: MachineSpec, endpoint: SshEndpoint, claim: dict[str, Any]) -> None:
    """Raise Locked when a `lab` on that machine itself uses it; a claim without folder and processes is stale."""
    with _session(lab, endpoint) as link:
        held = ssh_claim.in_use(link, claim, Deadline.after(ASK_S, lab.cancel))
    if held:
        fix = f"run `lab down` on it; if no lab uses it: sudo rm -r {ssh_check.LOCAL_CLAIM}"
        raise Locked(f"a lab on {spec.address} itself uses it ({ssh_check.printable(held)})", fix=fix)
    text = f"ignoring the stale claim of a lab on {spec.address} itself: its folder and processes no longer exist"
    lab.bus.emit(Notice(level="info", text=text))


def recover(seed: Seed, name: str, directory: Path) -> SshHandle:
    """From HOST_FILE, which was written before the claim."""
    handle = SshHandle(provider="ssh", name=name, machine_id=seed.machine_id, directory=str(directory))
    with contextlib.suppress(Unreadable):
        host = _host(directory)
        handle = dataclasses.replace(handle, endpoint=host.endpoint, accel=host.accel, address=host.address)
    return handle


def start(lab: Lab, handle: SshHandle) -> SshEndpoint:
    """Its endpoint; it runs already."""
    del lab
    return _endpoint(handle)


def inspect(lab: Lab, handle: SshHandle) -> Observed:
    """In one session: running while the claim on it names this machine. Raises SecurityStop (host key)."""
    if not handle.made:
        return Observed(phase="absent", alive=False, reason="never claimed")
    endpoint = _endpoint(handle)
    try:
        with _session(lab, endpoint) as link:
            deadline = Deadline.after(ASK_S, lab.cancel)
            answer = link.run(["sh", "-c", INSPECT], deadline, max_output=guest_answers.MOST_BYTES).text()
        boot_id, _, text = answer.partition("\n")
        boot_id = guest_answers.name(boot_id, "boot id")
    except SecurityStop:
        raise
    except LabError as error:
        return Observed(phase="unknown", alive=False, reason=error.message)
    claim = ssh_check.document(text)
    if claim is None or claim.get("machine_id") != handle.machine_id:
        reason = "not claimed" if claim is None else f"claimed by {ssh_check.held_by(claim)}"
        return Observed(phase="absent", alive=False, reason=reason)
    return Observed(
        phase="running",
        alive=True,
        reason="SSH answers",
        endpoint=endpoint,
        boot_id=boot_id,
        accel=handle.accel,
    )


def record(lab: Lab, handle: SshHandle) -> dict[str, Any]:
    """Record, on both sides, what the playbook will change; returns the playbook's variables."""
    with _session(lab, _endpoint(handle)) as link:
        recorded = ssh_claim.ask(
            link, "record", ssh_claim.wanted(), ssh_claim.Recorded, Deadline.after(RECORD_S, lab.cancel)
        )
    store.write_json(ssh_claim.kept_at(Path(handle.directory)), recorded.changes)
    for name in recorded.held:
        text = f"not installing {name}: that would change or remove an installed package"
        lab.bus.emit(Notice(level="warning", text=text))
    return ssh_claim.variables(list(recorded.install))


def stop(lab: Lab, handle: SshHandle) -> None:
    """End the processes of a run; the machine itself is not stopped. Idempotent."""
    if inspect(lab, handle).phase == "running":
        with _session(lab, _endpoint(handle)) as link:
            ssh_claim.ask(link, "stop", {}, dict[str, Any], Deadline.after(GIVE_BACK_S, lab.cancel))


def delete(lab: Lab, handle: SshHandle) -> None:
    """Restore the machine and remove the claim. Idempotent; a change that is not undone is a warning with its reason.

    Raises ProvisioningError when it is unreachable: then all records are kept, here and there.
    """
    directory = Path(handle.directory)
    if handle.made:
        endpoint = _endpoint(handle)
        try:
            with _session(lab, endpoint) as link:
                request = {"machine_id": handle.machine_id}
                deadline = Deadline.after(GIVE_BACK_S, lab.cancel)
                given = ssh_claim.ask(link, "restore", request, Left, deadline)
        except ssh_claim.NotDone:
            raise
        except ProvisioningError as error:
            fix = f"run lab down {handle.name} again when it is reachable; if it no longer exists, remove {directory}"
            raise ProvisioningError(f"{error.message}: cannot restore the machine", fix=fix) from error
        for text in given.left:
            lab.bus.emit(Notice(level="warning", text=f"not restored on the machine: {text}"))
    elif os.path.lexists(directory / HOST_FILE):
        why = f"cannot read {directory / HOST_FILE}: the machine may still be claimed and not restored"
        lab.bus.emit(Notice(level="warning", text=f"{why}; run on it: {ssh_claim.BY_HAND}"))
    ssh_claim.kept_at(directory).unlink(missing_ok=True)
    (directory / HOST_FILE).unlink(missing_ok=True)


def _look(lab: Lab, spec: MachineSpec, directory: Path) -> tuple[SshEndpoint, ssh_check.HostFacts, list[Finding]]:
    """Log in once and probe it. Raises ConfigError, PreconditionError, ProvisioningError, SecurityStop."""
    from lab.remote import ssh_login

    where = openssh_config.route(lab, spec)
    deadline = Deadline.after(ASK_S, lab.cancel)
    host_key = _pinned(directory, spec.address)
    if not host_key:
        shown = ssh_login.shown_key(where.host, where.port, openssh_config.kinds(where), deadline)
        host_key = openssh_config.pin(where, shown)
    endpoint = SshEndpoint(
        host=where.host, port=where.port, user=where.user, identity_file=where.identity, host_key=host_key
    )
    try:
        with _session(lab, endpoint) as link:
            answer = link.run(["sh", "-c", ssh_check.PROBE], deadline, max_output=guest_answers.MOST_BYTES)
            facts = ssh_check.parse(answer.text())
    except ssh_login.KeyUnusable:
        raise
    except ssh_login.LoginRefused as error:
        error.fix = f"set --address USER@HOST and --identity FILE, so that this works: {where.by_hand}"
        raise
    endpoint = dataclasses.replace(endpoint, become=facts.uid != 0 and facts.become)
    return endpoint, facts, ssh_check.findings(facts, spec, where.user)


def _pinned(directory: Path, address: str) -> str:
    """The host key that was pinned at the machine's first use; "" before. Raises Unreadable."""
    if not os.path.lexists(directory / HOST_FILE):
        return ""
    host = _host(directory)
    return host.endpoint.host_key if host.address == address else ""


def _host(directory: Path) -> Host:
    path = directory / HOST_FILE
    return read(Source(path=path, name=str(path), fix=f"lab down {directory.name}"), Host)


def _session(lab: Lab, endpoint: SshEndpoint) -> Transport:
    return connect(lab, endpoint, Deadline.after(ASK_S, lab.cancel))


def _endpoint(handle: SshHandle) -> SshEndpoint:
    assert handle.endpoint is not None
    return handle.endpoint.endpoint()
