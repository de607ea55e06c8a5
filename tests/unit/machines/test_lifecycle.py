"""What `up` does about what an earlier `up` left: begun and never noted, or made from another image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.machines import keys, lifecycle, state, steps
from lab.machines.images import golden
from lab.machines.providers.aws import provider as aws
from lab.machines.providers.qemu import provider as qemu
from lab.machines.vm import acceleration, qcow2
from lab.model.errors import TransientError
from lab.model.lab import Lab
from lab.model.machine import Handle, Machine, MachineSpec, Observed

SPEC = MachineSpec(name="m", accel="tcg")


def test_what_another_provider_began_and_never_noted_is_removed_first(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that was asked for may run, and cost: the name must not go to another machine over it."""
    directory = lab.paths.machine("m")
    directory.mkdir(parents=True)
    keys.seed(directory)
    state.save(lab, Machine(spec=replace(SPEC, provider="aws")))
    order: list[str] = []

    def delete(_: Lab, handle: Handle) -> None:
        order.append(f"delete {handle.provider}")

    def begin(*_: object) -> Machine:
        order.append("begin")
        raise TransientError("as far as this test goes", fix="nothing")

    monkeypatch.setattr(aws, "delete", delete)
    monkeypatch.setattr(steps, "run", begin)
    for _ in range(2):
        with pytest.raises(TransientError):
            lifecycle.up(lab, SPEC, lock_timeout_s=1)
    assert order == ["delete aws", "begin", "begin"]


def test_a_machine_whose_source_an_earlier_lab_kept_as_it_was_typed_is_still_this_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = qemu.recover(keys.seed(lab.paths.machine("m")), "m", lab.paths.machine("m"))
    state.save(lab, Machine(spec=replace(SPEC, source="golden.qcow2"), handle=handle))

    def begin(*_: object) -> Machine:
        raise TransientError("as far as this test goes", fix="nothing")

    monkeypatch.setattr(steps, "run", begin)
    for wanted in (replace(SPEC, source="golden.qcow2").spec(), replace(SPEC, source="golden.qcow2")):
        with pytest.raises(TransientError):
            lifecycle.up(lab, wanted, lock_timeout_s=1)


def test_a_disk_that_stands_on_another_image_is_made_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def image(name: str) -> golden.Bootable:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        disk, kernel = folder / "disk.raw", folder / "vmlinux"
        disk.write_bytes(bytes(1 << 20))
        kernel.write_bytes(b"kernel")
        return golden.Bootable(id=name, disk=disk, kernel=kernel, kernel_digest="", initrd=b"", release="")

    monkeypatch.setattr(acceleration, "find", lambda *_, **__: acceleration.Accel(name="tcg", reason="a test"))
    directory = lab.paths.machine("m")
    seed = keys.seed(directory)
    overlay = directory / "disk.qcow2"
    for name, fresh in (("first", True), ("first", False), ("second", True)):
        before = overlay.stat().st_ctime_ns if overlay.exists() else 0
        made = image(name)
        monkeypatch.setattr(golden, "bootable", lambda *_, made=made: made)
        handle = qemu.create(lab, SPEC, seed, directory)
        assert handle.image_id == name
        assert qcow2.backing(overlay) == tmp_path / name / "disk.raw"
        assert (overlay.stat().st_ctime_ns != before) is fresh


@pytest.mark.parametrize("reason", ["paused: io-error", "QEMU (pid 7) was stopped by a signal"])
def test_a_paused_machine_keeps_its_disk_where_the_image_is_another_one_now(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """QEMU has the disk open: `up` lets the machine go on, and neither bakes nor makes a disk, before or after."""
    handle = qemu.recover(keys.seed(lab.paths.machine("m")), "m", lab.paths.machine("m"))
    machine = state.save(lab, Machine(spec=SPEC, handle=handle, image_id="first"))
    seen = Observed(phase="broken", alive=False, reason=reason)
    monkeypatch.setattr(qemu, "inspect", lambda *_: seen)
    skipped = {step.name: step.already(lab, machine) for step in steps.UP if step.name in {"image", "create"}}
    assert skipped == {"image": reason, "create": reason}


def test_a_file_that_is_no_disk_stands_on_nothing(tmp_path: Path) -> None:
    for content in (b"", b"QFI\xfb", bytes(4096)):
        path = tmp_path / "disk"
        path.write_bytes(content)
        assert qcow2.backing(path) is None
