"""A machine kept as it is and gone on from in seconds, with the proof that it was not a boot.

The guest's clock is left alone: everything in it stays consistent, and it is behind by the time the machine was away.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from lab.machines import journal, keys, readiness, state, steps
from lab.machines.lifecycle import up
from lab.machines.presence import exclusive
from lab.machines.providers.base import Snapshots
from lab.model.errors import LabError, PreconditionError, ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Machine, SshEndpoint
from lab.model.paths import SNAPSHOTS_DIR
from lab.remote.base import Transport
from lab.system import documents, store
from lab.system.documents import Source
from lab.system.wait import Deadline

SCHEMA: Final = 1
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
NONCE: Final = "/run/lab-snapshot"  # in memory only: a boot has none
ASK_S: Final = 60.0
PROOF: Final = (
    "read -r up _ < /proc/uptime; "
    'echo "$(cat /proc/sys/kernel/random/boot_id) $up $(date +%s.%N) $(cat "$1" 2>/dev/null)"'
)
# Sessions that were open when it was kept: their other end is gone. $1: uptime then, in hundredths of a second, which
# is how a process's start is counted (the 22nd word of its stat, the 20th behind its name).
DROP: Final = (
    'for it in $(pgrep -f "^sshd(-session)?: .*@"); do stat=$(cat "/proc/$it/stat" 2>/dev/null) || continue; '
    'began=$(echo "${stat##*) }" | cut -d" " -f20); [ "$began" -gt "$1" ] || kill -9 "$it"; done'
)
OnRestored = Callable[[Transport, dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """How a restore went: `restored` False means that the machine was booted instead, and `reason` why.

    held: what was kept up in it, as `save` was given.
    """

    machine: Machine
    restored: bool
    reason: str
    seconds: float
    behind_s: float  # how far the guest's clock is behind this host's, measured
    held: dict[str, Any] | None


def names(lab: Lab, machine: str) -> list[str]:
    """What was kept of it."""
    return sorted(path.stem for path in (lab.paths.machine(machine) / SNAPSHOTS_DIR).glob("*.json"))


def check(lab: Lab, machine: str, name: str) -> None:
    """Whether `machine` could be kept as `name` at all; asks nobody. Raises UsageError, PreconditionError."""
    _record(lab, machine, name)
    _existing(lab, machine)


def save(lab: Lab, machine: str, name: str, *, held: dict[str, Any] | None = None) -> dict[str, Any]:
    """Keep a ready machine as `name`, in the place of an older one. Idempotent; a killed one leaves no such snapshot.

    held: what is kept up in it, as JSON values; whoever restores it gets them back.

    Raises UsageError, PreconditionError (it does not run, its provider cannot), ProvisioningError.
    """
    check(lab, machine, name)
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        found = _existing(lab, machine)
        seen = steps.observed(lab, found)
        if not steps.ready(found, seen) or found.handle is None:
            raise PreconditionError(f"machine {machine} is not ready: {seen.reason}", fix=f"lab up {machine}")
        provider, path = _saver(found), _record(lab, machine, name)
        with (
            lab.bus.step("snapshot", f"keep machine {machine} as {name}"),
            journal.entry(lab, machine, "snapshot", name),
        ):
            path.unlink(missing_ok=True)  # from here on the old one is gone
            nonce = secrets.token_hex(16)
            with _session(lab, found) as link:
                link.put_bytes(nonce.encode(), NONCE, Deadline.after(ASK_S, lab.cancel))
                answer = _asked(lab, link)
            kept = provider.save(lab, found.handle, name)
            doc = {"name": name, "boot_id": answer.boot_id, "uptime_s": answer.uptime_s, "nonce": nonce, "held": held}
            path.parent.mkdir(exist_ok=True, mode=0o700)
            store.write_json(path, {"schema": SCHEMA, **doc, "kept": kept})
    return doc


def restore(
    lab: Lab, machine: str, name: str, *, fallback: bool = True, on_restored: OnRestored = lambda *_: None
) -> RestoreResult:
    """Go on from `name`: the machine as it was, reachable in seconds, whatever it does now.

    Where that fails it is booted instead, told by a notice, unless `fallback` is off: then the failure is raised.
    on_restored: called in the first session of a machine that was restored, with what was held.
    """
    began = time.monotonic()
    _record(lab, machine, name)
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        found = _existing(lab, machine)
        doc = _read(lab, machine, name)
        try:
            with (
                lab.bus.step("restore", f"machine {machine} from {name}"),
                journal.entry(lab, machine, "restore", name),
            ):
                found, answer, seconds = _restored(lab, found, doc, began, on_restored)
        except (PreconditionError, ProvisioningError) as error:
            if not fallback:
                raise
            failure: LabError = error
        else:
            return RestoreResult(
                machine=found, restored=True, reason="", seconds=seconds, behind_s=answer.behind_s, held=doc.get("held")
            )
        lab.bus.emit(Notice(level="warning", text=f"{failure.message}: it is booted instead"))
        with contextlib.suppress(LabError):
            steps.provider_of(found).stop(lab, found.handle)
    booted = up(lab, found.spec, lock_timeout_s=lab.config.lock_timeout_s)
    seconds = time.monotonic() - began
    return RestoreResult(
        machine=booted, restored=False, reason=failure.message, seconds=seconds, behind_s=0.0, held=doc.get("held")
    )


def remove(lab: Lab, machine: str, name: str) -> None:
    """Forget it. Its state leaves the overlay with the next one of that name, or with the machine."""
    with exclusive(lab, machine, lab.config.lock_timeout_s):
        _read(lab, machine, name)
        _record(lab, machine, name).unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootProof:
    """What a machine says of itself: its boot, how long it is up, its clock against ours, the word left in memory."""

    boot_id: str
    uptime_s: float
    behind_s: float
    nonce: str


def _restored(
    lab: Lab, machine: Machine, doc: dict[str, Any], began: float, on_restored: OnRestored
) -> tuple[Machine, BootProof, float]:
    """The machine, what it said, and the seconds to that answer."""
    assert machine.handle is not None
    directory = lab.paths.machine(machine.spec.name)
    endpoint = _saver(machine).restore(lab, machine.handle, doc["name"], doc["kept"])
    if isinstance(endpoint, SshEndpoint):
        keys.write_access(directory, machine.spec.name, endpoint)
    machine = state.save(lab, replace(machine, endpoint=endpoint, ready_boot_id=doc["boot_id"]))
    assert machine.handle is not None
    readiness.wait_alive(lab, steps.provider_of(machine), machine.handle, directory)
    with _session(lab, machine) as link:
        seen = _asked(lab, link)
        if (seen.boot_id, seen.nonce) != (doc["boot_id"], doc["nonce"]) or seen.uptime_s < float(doc["uptime_s"]):
            message = f"what answers is not the machine that was kept (boot {seen.boot_id}, up {seen.uptime_s:.0f} s)"
            raise ProvisioningError(message, fix="lab up")
        seconds = time.monotonic() - began
        on_restored(link, doc)
        link.run(["sh", "-c", DROP, "drop", str(int(float(doc["uptime_s"]) * 100))], Deadline.after(ASK_S, lab.cancel))
    return machine, seen, seconds


def _asked(lab: Lab, link: Transport) -> BootProof:
    before = time.time()
    said = link.run(["sh", "-c", PROOF, "proof", NONCE], Deadline.after(ASK_S, lab.cancel)).text().split()
    try:
        boot_id, uptime, now, nonce = said if len(said) > 3 else [*said, ""]
        behind_s = (before + time.time()) / 2 - float(now)
        return BootProof(boot_id=boot_id, uptime_s=float(uptime), behind_s=behind_s, nonce=nonce)
    except ValueError as error:
        message = f"the answer of the machine cannot be read: {' '.join(said)[:100]!r}"
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
    """What saves and restores this machine. Raises PreconditionError where its provider cannot."""
    provider = steps.provider_of(machine)
    if not isinstance(provider, Snapshots):
        message = f"the provider {machine.spec.provider} does not support snapshots"
        raise PreconditionError(message, fix="use --provider qemu or vagrant, or lab up")
    return provider


def _record(lab: Lab, machine: str, name: str) -> Path:
    """Where it is noted, in the machine's folder whatever `name` is. Raises UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a snapshot's name", fix="use up to 31 of a-z, 0-9 and -")
    return lab.paths.machine(machine) / SNAPSHOTS_DIR / f"{name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What must be in a record; `held` and `kept` are checked by who wrote them."""

    schema: Literal[1]
    name: str
    boot_id: str
    uptime_s: float
    nonce: str
    kept: dict[str, Any]
    held: dict[str, Any] | None


def _read(lab: Lab, machine: str, name: str) -> dict[str, Any]:
    path = _record(lab, machine, name)
    source = Source(path=path, name=str(path), fix=f"lab snapshot {machine}")
    if path.exists():
        documents.read(source, _Record)
        return documents.read(source, dict[str, Any])
    there = names(lab, machine)
    known = f" (there are: {', '.join(there)})" if there else ""
    message = f"machine {machine} has no snapshot {name!r}{nearest(name, there)}{known}"
    raise UsageError(message, fix=f"lab snapshot {machine}")
