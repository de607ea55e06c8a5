"""Snapshots, as far as files tell: what a failed save leaves, what cannot be restored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.wire import encode
from lab.machines import snapshots, steps
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.snapshot_key import Kept
from lab.machines.snapshots import BootProof, Snapshot
from lab.model.errors import Cancelled, LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Observed
from lab.model.paths import MACHINE_FILE, SNAPSHOTS_DIR

PROOF = BootProof(boot_id="b", uptime_s=1.0, behind_s=0.0, nonce="n")


@pytest.fixture
def machine(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a ready machine m that answers."""
    shutil.copy(Path(__file__).parent / "recorded_machine.json", folder / MACHINE_FILE)
    doc = json.loads((folder / MACHINE_FILE).read_text())
    ready = Observed(phase="running", alive=True, reason="up", boot_id=doc["ready_boot_id"], image_id=doc["image_id"])
    monkeypatch.setattr(steps, "observed", lambda *_: ready)
    monkeypatch.setattr(snapshots, "_session", lambda *_: Answers())
    monkeypatch.setattr(snapshots, "_proof", lambda *_: PROOF)
    return folder


class Answers:
    """A session that takes everything."""

    def __enter__(self) -> Any:
        return SimpleNamespace(put_bytes=lambda *_: None)

    def __exit__(self, *_: object) -> None:
        pass


def saved(folder: Path, name: str = "ready", **changes: Any) -> Path:
    """A snapshot's record, as the provider left it."""
    fields: dict[str, Any] = {"boot_id": "b", "uptime_s": 1.0, "nonce": "n", "kept": Kept(), **changes}
    path = folder / SNAPSHOTS_DIR / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(encode(Snapshot(schema=1, name=name, **fields))))
    return path


def fails(error: LabError) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("step", ["_session", "_proof"])
@pytest.mark.parametrize("error", [ProvisioningError("cannot connect by SSH", fix="lab logs"), Cancelled()])
def test_a_save_that_fails_before_the_provider_is_asked_leaves_the_earlier_snapshot(
    lab: Lab, machine: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: LabError
) -> None:
    record = saved(machine)
    before = record.read_text()
    monkeypatch.setattr(snapshots, step, fails(error))
    with pytest.raises(type(error)):
        snapshots.save(lab, "m", "ready")
    assert record.read_text() == before


def test_a_save_that_fails_in_the_provider_leaves_no_snapshot_of_that_name(
    lab: Lab, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have replaced the state already."""
    saved(machine)
    monkeypatch.setattr(qemu, "save", fails(ProvisioningError("QEMU failed", fix="lab doctor")))
    with pytest.raises(ProvisioningError, match="QEMU failed"):
        snapshots.save(lab, "m", "ready")
    assert snapshots.names(lab, "m") == []
