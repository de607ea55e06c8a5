"""A machine kept with the forms that are up in it, and back with each of them proven."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.flows import request, standby
from lab.flows.request import DemoRequest
from lab.machines import snapshots
from lab.machines.snapshots import RestoreResult
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError, DemoError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.remote.base import Transport


@dataclass(slots=True)
class RestoreReport:
    """How it came back. proofs: form -> {"ok", "reason", "seconds", …}; proven_s: from the beginning to the last."""

    went: RestoreResult
    proofs: standby.Proofs = field(default_factory=dict)
    proven_s: float | None = None

    @property
    def failed(self) -> list[str]:
        return [name for name, proof in self.proofs.items() if not proof["ok"]]


def keep(lab: Lab, machine: str, tag: str, asked: DemoRequest | None) -> None:
    """Keep `machine` as `tag`, with the forms of `asked` up and proven. Raises as `hold` and `snapshots.save` do."""
    snapshots.check(lab, machine, tag)  # before a minute of starting forms
    held = standby.hold(lab, machine, asked) if asked is not None else None
    snapshots.save(lab, machine, tag, held=held)


def restore(lab: Lab, machine: str, tag: str, *, fallback: bool, reattach: bool = False) -> RestoreReport:
    """The machine as it was kept, and every form that was kept up in it proven again; reattach: by new agents.

    Where it had to be booted the forms are started again. Raises DemoError when they cannot be asked.
    """
    began = time.monotonic()
    proofs: standby.Proofs = {}
    proven_at = began

    def on_restored(link: Transport, doc: dict[str, Any]) -> None:
        nonlocal proven_at
        if doc.get("held"):
            try:
                proofs.update(standby.reprove(lab, link, doc["held"], reattach=reattach))
                proven_at = time.monotonic()
            except DemoError as error:
                if not fallback:
                    raise
                lab.bus.emit(Notice(level="warning", text=f"{error.message}: they are started again"))

    went = snapshots.restore(lab, machine, tag, fallback=fallback, on_restored=on_restored)
    if went.held and not proofs:
        proofs.update(standby.hold(lab, machine, _asked(machine, went.held))["proofs"])
        proven_at = time.monotonic()
    return RestoreReport(went=went, proofs=proofs, proven_s=proven_at - began if proofs else None)


def _asked(machine: str, held: dict[str, Any]) -> DemoRequest:
    """What was asked for when it was kept. Raises ConfigError when that is not there any more."""
    demo = DemoConfig(scenario=held["scenario"], forms=tuple(held["forms"]), topology=held["topology"])
    try:
        return request.read(demo, service_dir=Path(held["service"]))
    except ConfigError as error:
        message = f"machine {machine} is up, but its forms cannot be started again: {error.message}"
        raise ConfigError(message, fix="lab snapshot --form … with what there is now", detail=error.detail) from error
