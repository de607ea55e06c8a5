"""Snapshots, as far as files tell: what a failed save leaves, what cannot be restored, the disks that are needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.flows import snapshot, standby
from lab.guest.wire import encode
from lab.machines import disks_in_use, snapshots, steps
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.qemu import snapshot as qemu_snapshot
from lab.machines.providers.snapshot_key import Kept, KeptDisk
from lab.machines.snapshots import BootProof, Snapshot
from lab.model.errors import Cancelled, LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Observed
from lab.model.paths import MACHINE_FILE, SNAPSHOTS_DIR
from tests.unit.flows.test_standby import record as forms_on_standby

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


# --- what it needs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def image(lab: Lab, machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The disk in a snapshot `stage` of the forms that are on standby in m; its QEMU is the one of then."""
    image = lab.paths.artifacts / "disks" / "abc.ext4"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x")
    monkeypatch.setattr(qemu_snapshot, "key", lambda _: {"qemu": "7.2"})
    disk = KeptDisk(serial="lababc", image=str(image), bus="hot0", seen=qemu_snapshot.witness(image))
    standby.keep(lab, "m", forms_on_standby())
    saved(machine, "stage", kept=Kept(key={"qemu": "7.2"}, disks=(disk,)), standby=encode(forms_on_standby()))
    return image


def test_a_snapshot_that_can_be_restored_holds(lab: Lab, image: Path) -> None:
    assert snapshot.holds(lab, "m", "stage")
    assert not snapshot.holds(lab, "m", "other")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda image, _: image.unlink(), r"disk .*abc\.ext4 is missing"),
        (lambda image, _: os.utime(image, ns=(1, 1)), r"disk .*abc\.ext4 has changed"),
        (lambda _, patch: patch.setattr(qemu_snapshot, "key", lambda _: {"qemu": "8.0"}), r"qemu was 7\.2, is 8\.0"),
        (
            lambda _, patch: patch.setattr(qemu_snapshot, "key", fails(LabError("QEMU is not installed", fix="x"))),
            "QEMU is not installed",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_restored_does_not_hold_and_says_why(
    lab: Lab, image: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None], why: str
) -> None:
    spoil(image, monkeypatch)
    assert not snapshot.holds(lab, "m", "stage")
    assert re.search(why, snapshot.unfit(lab, "m", "stage"))


def test_a_disk_that_was_gone_when_it_was_saved_is_not_taken_for_unchanged(lab: Lab, image: Path) -> None:
    image.unlink()
    disk = KeptDisk(serial="lababc", image=str(image), bus="hot0", seen=None)
    saved(lab.paths.machine("m"), "stage", kept=Kept(key={"qemu": "7.2"}, disks=(disk,)))
    assert "is missing" in " ".join(snapshots.changed(lab, "m", snapshots.read(lab, "m", "stage")))


def test_a_damaged_record_needs_nothing_and_hides_no_other(lab: Lab, image: Path) -> None:
    (lab.paths.machine("m") / SNAPSHOTS_DIR / "bad.json").write_text("{")
    assert disks_in_use.names(lab) == {"abc.ext4"}


def test_what_a_running_machine_has_open_is_in_use(lab: Lab, machine: Path, tmp_path: Path) -> None:
    uuid = json.loads((machine / MACHINE_FILE).read_text())["handle"]["data"]["uuid"]
    disk = tmp_path / "open.ext4"
    disk.write_bytes(b"x")
    hold = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", hold, str(disk), "-uuid", uuid]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu_like:
        assert qemu_like.stdout is not None
        qemu_like.stdout.readline()
        assert "open.ext4" in disks_in_use.names(lab)
        qemu_like.communicate()
    assert "open.ext4" not in disks_in_use.names(lab)
