"""Snapshot a machine with its standby forms, and restore it with each form proven again."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.flows import request, standby
from lab.flows.request import DemoRequest
from lab.guest.wire import WireError, decode, encode
from lab.machines import snapshots
from lab.machines.snapshots import RestoreResult
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError, DemoError, LabError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.remote.base import Transport


@dataclass(slots=True)
class RestoreReport:
    """Result of a restore. proven_s: seconds to the last proof."""

    went: RestoreResult
    proofs: standby.Proofs = field(default_factory=dict)
    proven_s: float | None = None

    @property
    def failed(self) -> list[str]:
        return [name for name, proof in self.proofs.items() if not proof.ok]


def keep(lab: Lab, machine: str, tag: str, asked: DemoRequest | None) -> None:
    """Save `machine` as `tag`, with the forms of `asked` on standby. Raises as `standby.start`, `snapshots.save`."""
    snapshots.check(lab, machine, tag)  # fail before forms are started, which takes a minute
    record = encode(standby.start(lab, machine, asked)) if asked is not None else None
    snapshots.save(lab, machine, tag, standby=record)


def holds(lab: Lab, machine: str, tag: str) -> bool:
    """Whether `tag` is a snapshot of the forms that are on standby in `machine` now, and can be restored."""
    return same_forms(lab, machine, tag) and not unfit(lab, machine, tag)


def same_forms(lab: Lab, machine: str, tag: str) -> bool:
    """Whether the forms in `tag` are those that are on standby in `machine` now, as they were started."""
    try:
        saved = snapshots.read(lab, machine, tag).standby
        return saved is not None and _record(machine, tag, saved) == standby.kept(lab, machine)
    except LabError:
        return False


def unfit(lab: Lab, machine: str, tag: str) -> str:
    """Why `tag` cannot be restored, such as after an upgrade of QEMU; "" when nothing stands against it. Fast."""
    try:
        changed = snapshots.changed(lab, machine, snapshots.read(lab, machine, tag))
    except LabError as error:
        return error.message
    return "; ".join(changed)


def restore(lab: Lab, machine: str, tag: str, *, fallback: bool, reattach: bool = False) -> RestoreReport:
    """Restore the machine and prove every standby form again; reattach: with new agents.

    When it was booted instead, starts the forms again. `lab.flows.live.opened` then takes orders; a session with the
    machine of before ends. Raises DemoError when the forms do not answer.
    """
    began = time.monotonic()
    proofs: standby.Proofs = {}
    proven_at = began

    def on_restored(link: Transport, saved: snapshots.Snapshot) -> None:
        nonlocal proven_at
        if saved.standby:
            record = _record(machine, tag, saved.standby)
            standby.keep(lab, machine, record)
            try:
                proofs.update(standby.reprove(lab, lambda: nullcontext(link), record, reattach=reattach))
                proven_at = time.monotonic()
            except DemoError as error:
                if not fallback:
                    raise
                lab.bus.emit(Notice(level="warning", text=f"{error.message}; starting the forms again"))

    went = snapshots.restore(lab, machine, tag, fallback=fallback, on_restored=on_restored)
    if not went.restored:
        proofs.clear()  # of forms that ended when the machine was booted instead
    if went.standby and not proofs:
        again = standby.start(lab, machine, _asked(machine, tag, _record(machine, tag, went.standby)))
        proofs.update(again.proofs)
        proven_at = time.monotonic()
    return RestoreReport(went=went, proofs=proofs, proven_s=proven_at - began if proofs else None)


def _record(machine: str, tag: str, doc: dict[str, Any]) -> standby.Standby:
    try:
        return decode(standby.Standby, doc)
    except WireError as error:
        message = f"the snapshot {tag!r} does not say which forms are on standby in it: {error}"
        raise ConfigError(message, fix=f"lab snapshot {machine} --as {tag} --form …") from error


def _asked(machine: str, tag: str, record: standby.Standby) -> DemoRequest:
    """The request of the snapshot, read again. Raises ConfigError when its files do not exist any more."""
    demo = DemoConfig(scenario=record.scenario, forms=record.forms, topology=record.topology, seed=record.seed)
    try:
        return request.read(demo, service_dir=Path(record.service))
    except ConfigError as error:
        message = f"machine {machine} is up, but cannot start its standby forms: {error.message}"
        fix = f"lab snapshot {machine} --as {tag} --form … with the current files"
        raise ConfigError(message, fix=fix, detail=error.detail) from error
