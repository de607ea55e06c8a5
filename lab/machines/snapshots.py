"""Saves a running machine and restores it in seconds, with a proof that it was not booted.

The guest's clock is left alone: everything in it stays consistent, and it is behind by the time since the snapshot.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from lab.guest.wire import encode
from lab.machines import journal, keys, readiness, state, steps
from lab.machines.lifecycle import up
from lab.machines.presence import exclusive
from lab.machines.providers.base import Snapshots
from lab.machines.providers.snapshot_key import Kept
from lab.model.errors import LabError, PreconditionError, ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Machine
from lab.model.paths import SNAPSHOTS_DIR
from lab.remote.base import Transport
from lab.system import documents, store
from lab.system.documents import Source
from lab.system.wait import Deadline

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
NONCE: Final = "/run/lab-snapshot"  # in memory only: a boot has none
ASK_S: Final = 60.0
PROOF: Final = (
    "read -r up _ < /proc/uptime; "
    'echo "$(cat /proc/sys/kernel/random/boot_id) $up $(date +%s.%N) $(cat "$1" 2>/dev/null)"'
)
# Ends sessions that were open when it was saved: their peer is gone. $1: uptime then, in hundredths of a second, the
# unit of a process's start time (the 22nd word of its stat, the 20th behind its name).
DROP: Final = (
    'for it in $(pgrep -f "^sshd(-session)?: .*@"); do stat=$(cat "/proc/$it/stat" 2>/dev/null) || continue; '
    'began=$(echo "${stat##*) }" | cut -d" " -f20); [ "$began" -gt "$1" ] || kill -9 "$it"; done'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot's record beside the machine; `standby` is checked by its writer."""

    schema: Literal[1]
    name: str
    boot_id: str
    uptime_s: float
    nonce: str
    kept: Kept
    standby: dict[str, Any] | None = None
    held: dict[str, Any] | None = None  # of an earlier version, whose standby process takes no orders


OnRestored = Callable[[Transport, Snapshot], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """The outcome of a restore. `restored` False: the machine was booted instead, for `reason`.

    standby: the record of its standby forms, as `save` was given.
    """

    machine: Machine
    restored: bool
    reason: str
    seconds: float
    behind_s: float  # how far the guest's clock is behind this host's, measured
    standby: dict[str, Any] | None


def names(lab: Lab, machine: str) -> list[str]:
    """Its snapshots."""
    return sorted(path.stem for path in (lab.paths.machine(machine) / SNAPSHOTS_DIR).glob("*.json"))


def read(lab: Lab, machine: str, name: str) -> Snapshot:
    """Its record. Raises UsageError where there is none, Unreadable."""
    path = _known(lab, machine, name)
    return documents.read(Source(path=path, name=str(path), fix=_again(machine, name)), Snapshot)


def _known(lab: Lab, machine: str, name: str) -> Path:
    """The file of its record, which may be damaged. Raises UsageError where there is none."""
    path = _record(lab, machine, name)
    if path.exists():
        return path
    saved = names(lab, machine)
    known = f" (it has: {', '.join(saved)})" if saved else ""
    message = f"machine {machine} has no snapshot {name!r}{nearest(name, saved)}{known}"
    raise UsageError(message, fix=_again(machine, name))


def _again(machine: str, name: str) -> str:
    return f"lab snapshot {machine} --as {name}"


def check(lab: Lab, machine: str, name: str) -> None:
    """Whether `machine` can be saved as `name`; reads files only. Raises UsageError, PreconditionError."""
    _record(lab, machine, name)
    _existing(lab, machine)


def changed(lab: Lab, machine: str, record: Snapshot) -> Sequence[str]:
    """What has changed since it was saved, as text: then it cannot be restored. Fast; () where there is no machine.

    Raises LabError when that cannot be found out.
    """
    found = state.load(lab, machine)
    if found is None or found.handle is None:
        return ()
    return _saver(found).changed(lab, found.handle, record.kept)


def save(lab: Lab, machine: str, name: str, *, standby: dict[str, Any] | None = None) -> Snapshot:
    """Save a ready machine as `name`, replacing an older snapshot. Idempotent.

    An older one is kept until the provider saves; when it fails or is killed then, there is no such snapshot.

    standby: the record of its standby forms, as JSON values; `restore` returns it.

    Raises UsageError, PreconditionError (it does not run, its provider cannot), ProvisioningError.
    """
    check(lab, machine, name)
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        found = _existing(lab, machine)
        current = steps.observed(lab, found)
        if not steps.ready(found, current) or found.handle is None:
            raise PreconditionError(f"machine {machine} is not ready: {current.reason}", fix=f"lab up {machine}")
        provider, path = _saver(found), _record(lab, machine, name)
        with (
            lab.bus.step("snapshot", f"save machine {machine} as snapshot {name}"),
            journal.entry(lab, machine, "snapshot", name),
        ):
            nonce = secrets.token_hex(16)
            with _session(lab, found) as link:
                link.put_bytes(nonce.encode(), NONCE, Deadline.after(ASK_S, lab.cancel))
                answer = _proof(lab, link)
            path.unlink(missing_ok=True)  # from here on the old one is gone: the provider replaces its state
            record = Snapshot(
                schema=1,
                name=name,
                boot_id=answer.boot_id,
                uptime_s=answer.uptime_s,
                nonce=nonce,
                kept=provider.save(lab, found.handle, name),
                standby=standby,
            )
            path.parent.mkdir(exist_ok=True, mode=0o700)
            store.write_json(path, encode(record))
    return record


def restore(
    lab: Lab, machine: str, name: str, *, fallback: bool = True, on_restored: OnRestored = lambda *_: None
) -> RestoreResult:
    """Restore snapshot `name`: the machine as it was, reachable in seconds, whatever its state is now.

    When that fails, it is booted instead, with a notice, unless `fallback` is off: then the failure is raised.
    on_restored: called in the first session of a restored machine, with the snapshot's record.
    """
    began = time.monotonic()
    _record(lab, machine, name)
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        found = _existing(lab, machine)
        record = read(lab, machine, name)
        if record.held:
            message = f"the snapshot {name!r} was made by an earlier version of lab; its standby forms take no orders"
            raise UsageError(message, fix=f"lab up {machine}, then {_again(machine, name)} --form …")
        try:
            with (
                lab.bus.step("restore", f"machine {machine} from snapshot {name}"),
                journal.entry(lab, machine, "restore", name),
            ):
                found, answer, seconds = _restored(lab, found, record, began, on_restored)
        except (PreconditionError, ProvisioningError) as error:
            if not fallback:
                raise
            failure: LabError = error
        else:
            return RestoreResult(
                machine=found,
                restored=True,
                reason="",
                seconds=seconds,
                behind_s=answer.behind_s,
                standby=record.standby,
            )
        lab.bus.emit(Notice(level="warning", text=f"{failure.message}; booting the machine instead"))
        with contextlib.suppress(LabError):
            steps.provider_of(found).stop(lab, found.handle)
    booted = up(lab, found.spec, lock_timeout_s=lab.config.lock_timeout_s)
    seconds = time.monotonic() - began
    return RestoreResult(
        machine=booted,
        restored=False,
        reason=failure.message,
        seconds=seconds,
        behind_s=0.0,
        standby=record.standby,
    )


def remove(lab: Lab, machine: str, name: str) -> None:
    """Remove it. Its data leaves the overlay with the next snapshot of that name, or with the machine."""
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        _known(lab, machine, name).unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootProof:
    """Proves which boot answers: its id, its uptime, its clock against ours, the nonce left in memory."""

    boot_id: str
    uptime_s: float
    behind_s: float
    nonce: str


def _restored(
    lab: Lab, machine: Machine, record: Snapshot, began: float, on_restored: OnRestored
) -> tuple[Machine, BootProof, float]:
    """The machine, its boot proof, and the seconds until that answer."""
    assert machine.handle is not None
    directory = lab.paths.machine(machine.spec.name)
    endpoint = _saver(machine).restore(lab, machine.handle, record.name, record.kept)
    machine = replace(machine, endpoint=endpoint, ready_boot_id=record.boot_id)
    if machine.ssh is not None:
        keys.write_access(directory, machine.spec.name, machine.ssh)
    machine = state.save(lab, machine)
    assert machine.handle is not None
    readiness.wait_alive(lab, steps.provider_of(machine), machine.handle, directory)
    with _session(lab, machine) as link:
        proof = _proof(lab, link)
        if (proof.boot_id, proof.nonce) != (record.boot_id, record.nonce) or proof.uptime_s < record.uptime_s:
            message = f"the restored machine is not the saved one (boot {proof.boot_id}, up {proof.uptime_s:.0f} s)"
            raise ProvisioningError(message, fix="lab up")
        seconds = time.monotonic() - began
        on_restored(link, record)
        link.run(["sh", "-c", DROP, "drop", str(int(record.uptime_s * 100))], Deadline.after(ASK_S, lab.cancel))
    return machine, proof, seconds


def _proof(lab: Lab, link: Transport) -> BootProof:
    before = time.time()
    words = link.run(["sh", "-c", PROOF, "proof", NONCE], Deadline.after(ASK_S, lab.cancel)).text().split()
    try:
        boot_id, uptime, now, nonce = words if len(words) > 3 else [*words, ""]
        behind_s = (before + time.time()) / 2 - float(now)
        return BootProof(boot_id=boot_id, uptime_s=float(uptime), behind_s=behind_s, nonce=nonce)
    except ValueError as error:
        message = f"cannot read the machine's answer: {' '.join(words)[:100]!r}"
        raise ProvisioningError(message, fix="lab up") from error


def _session(lab: Lab, machine: Machine) -> contextlib.AbstractContextManager[Transport]:
    assert machine.handle is not None
    assert machine.endpoint is not None
    directory = lab.paths.machine(machine.spec.name)
    return readiness.open_session(lab, steps.provider_of(machine), machine.handle, machine.endpoint, directory)


def _existing(lab: Lab, name: str) -> Machine:
    found = state.load(lab, name)
    if found is None or found.handle is None:
        raise PreconditionError(f"there is no machine {name}", fix=f"lab up {name}")
    _saver(found)
    return found


def _saver(machine: Machine) -> Snapshots[Any]:
    """The provider, if it supports snapshots. Raises PreconditionError otherwise."""
    provider = steps.provider_of(machine)
    if not isinstance(provider, Snapshots):
        message = f"the provider {machine.spec.provider} does not support snapshots"
        raise PreconditionError(message, fix="use --provider qemu or vagrant, or lab up")
    return provider


def _record(lab: Lab, machine: str, name: str) -> Path:
    """The snapshot's record, always inside the machine's folder. Raises UsageError for an invalid name."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid snapshot name", fix="use up to 31 of a-z, 0-9 and -")
    return lab.paths.machine(machine) / SNAPSHOTS_DIR / f"{name}.json"
