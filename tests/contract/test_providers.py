"""One suite for the Provider seam, run on every row of the table: a new row is tested unasked."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from lab.machines import keys, readiness
from lab.machines.providers import PROVIDERS, inspect_ssh
from lab.machines.providers.base import Provider
from lab.machines.providers.local import provider as local
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu.start import QemuHandle
from lab.machines.providers.vagrant.files import VagrantHandle
from lab.model.config import Config
from lab.model.errors import Locked
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import Handle, MachineSpec, Seed, SshEndpoint
from lab.model.paths import Paths
from lab.remote import connect
from lab.system.wait import Deadline
from tests.contract.ec2 import Ec2, running_ec2, running_moto
from tests.contract.lima import own_limactl
from tests.contract.sshd import Sshd, own_openssh, running_sshd
from tests.fakes import cloud_machine
from tests.support import test_home

# What runs a whole machine belongs to the tier of machines.
TIERS = {
    "qemu": pytest.mark.vm,
    "local": pytest.mark.contract,
    "ssh": pytest.mark.contract,
    "vagrant": pytest.mark.nightly,  # packages that CI installs slowly, and minutes
    "aws": pytest.mark.contract,  # over moto; the instance itself is tests/fakes/cloud_machine.py
    "lima": pytest.mark.contract,  # over recorded output; the machine itself is tests/fakes/cloud_machine.py
}
SEED_FILES = {"host_ed25519", "id_ed25519"}


@dataclass(frozen=True)
class Row:
    """A provider, a machine of its that does not exist yet, and where."""

    provider: Provider
    lab: Lab
    spec: MachineSpec
    seed: Seed
    directory: Path

    def create(self) -> Handle:
        made: Handle = self.provider.create(self.lab, self.spec, self.seed, self.directory)
        return made

    def process(self, handle: Handle, endpoint: SshEndpoint) -> psutil.Process:
        """What runs the machine on this host."""
        if isinstance(handle, QemuHandle | VagrantHandle):
            return qemu_process.processes(handle.uuid)[0]
        return cloud_machine.server(endpoint.port)

    def alive(self, handle: Handle) -> str:
        """Wait until it is; its boot id."""
        return readiness.wait_alive(self.lab, self.provider, handle, self.directory).boot_id


@pytest.fixture
def colleague(tmp_path: Path) -> Iterator[Sshd]:
    """Somebody else's machine, as far as loopback goes; the whole one is tests/e2e/test_a_colleagues_machine.py."""
    with running_sshd(tmp_path / "sshd", elsewhere=True) as server:
        yield server


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture
def ec2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: int) -> Iterator[Ec2]:
    """EC2 as far as its API and an instance's first boot go."""
    with running_ec2(tmp_path / "ec2", monkeypatch, moto) as found:
        yield found


ROWS: Final = [pytest.param(name, marks=TIERS.get(name, pytest.mark.vm)) for name in PROVIDERS]
ISOLATED: Final = [one for one in ROWS if PROVIDERS[str(one.values[0])].FEATURES.isolated]


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Row]:
    name = str(request.param)
    if name == "local":
        assert os.geteuid() == 0, "the local provider is tested as root"
        # somebody may be using this host as a machine right now: another claim, and a mount that is nobody's
        (tmp_path / "mount").mkdir()
        monkeypatch.setattr(local, "OWNER_FILE", tmp_path / "owner.json")
        monkeypatch.setattr(local, "LOCK_FILE", tmp_path / "owner.lock")
        monkeypatch.setattr(local, "MOUNTS", (("tmpfs", str(tmp_path / "mount")),))
    address = ""
    if name == "ssh":
        assert os.geteuid() == 0, "a machine is claimed as root"
        server = request.getfixturevalue("colleague")
        ours = own_openssh(tmp_path / "openssh", server)
        monkeypatch.setenv("PATH", f"{ours}{os.pathsep}{os.environ['PATH']}")
        address = "box"
    if name == "lima":
        own_limactl(tmp_path, monkeypatch)
        monkeypatch.setattr(inspect_ssh, "ASK_S", 8.0)  # one that hangs never answers; no need to wait that long for it
    if name == "aws":
        request.getfixturevalue("ec2")
        monkeypatch.setattr(inspect_ssh, "ASK_S", 8.0)
    # images are shared with the other tests of machines; this machine's own files are not
    lab = Lab(config=Config(), paths=Paths(home=test_home()), bus=Bus())
    spec = MachineSpec(name="contract", provider=name, memory_mib=1024, address=address, clock="real")
    provider, directory = PROVIDERS[name], tmp_path / "machine"
    if provider.FEATURES.custom_kernel:
        from lab.machines.images import golden

        golden.ensure(lab, spec)
    this = Row(provider, lab, spec, keys.seed(directory), directory)
    try:
        yield this
    finally:
        provider.delete(lab, provider.recover(this.seed, spec.name, directory))


def test_check_says_a_fix_for_whatever_is_not_ok(row: Row) -> None:
    findings = row.provider.check(row.lab, row.spec)
    assert findings
    assert [found for found in findings if found.verdict != "ok" and not found.fix] == []


@pytest.mark.timeout(600)
def test_a_machine_lives_and_leaves_nothing(row: Row) -> None:
    provider, lab = row.provider, row.lab
    never = provider.recover(row.seed, row.spec.name, row.directory)
    assert provider.inspect(lab, never).phase == "absent"
    handle = row.create()
    assert row.create() == handle, "create is idempotent"
    endpoint = provider.start(lab, handle)
    assert provider.start(lab, handle) == endpoint, "start is idempotent"
    boot_id = row.alive(handle)
    seen = provider.inspect(lab, handle)
    assert (seen.phase, seen.alive, seen.boot_id, seen.endpoint) == ("running", True, boot_id, endpoint)
    with connect(lab, endpoint, Deadline.after(120)) as link:
        told = link.run(["cat", "/proc/sys/kernel/random/boot_id"], Deadline.after(60)).text().strip()
    assert told == boot_id, "the machine that beats is the one that answers"
    assert provider.inspect(lab, provider.recover(row.seed, row.spec.name, row.directory)).phase == "running"
    for _ in range(2):
        provider.stop(lab, handle)
    if provider.FEATURES.isolated:
        assert not provider.inspect(lab, handle).alive
    for _ in range(2):
        provider.delete(lab, handle)
    assert provider.inspect(lab, handle).phase == "absent"
    assert {path.name for path in row.directory.iterdir()} == SEED_FILES


@pytest.mark.contract
def test_this_host_is_given_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [tmp_path / "ours", tmp_path / "anew", tmp_path / "already"]
    for target in targets:
        target.mkdir()
    monkeypatch.setattr(local, "OWNER_FILE", tmp_path / "owner.json")
    monkeypatch.setattr(local, "LOCK_FILE", tmp_path / "owner.lock")
    monkeypatch.setattr(local, "MOUNTS", tuple(("tmpfs", str(target)) for target in targets))
    told: list[str] = []
    bus = Bus((lambda record: told.append(str(record.event)),))
    lab, directory = Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=bus), tmp_path / "machine"
    spec = MachineSpec(name="contract", provider="local")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(targets[2])], check=True)
    try:
        handle = local.create(lab, spec, keys.seed(directory), directory)
        with pytest.raises(Locked, match="already the machine"):
            local.create(lab, spec, keys.seed(tmp_path / "second"), tmp_path / "second")
        local.start(lab, handle)
        assert all(os.path.ismount(target) for target in targets)
        # somebody mounts one of them again: that one is no longer ours to undo
        subprocess.run(["umount", str(targets[1])], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(targets[0])], check=True)
        subprocess.run(["umount", str(targets[0])], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "other", str(targets[1])], check=True)
        local.delete(lab, handle)
        assert [os.path.ismount(target) for target in targets] == [False, True, True]
        assert any("stays mounted" in text for text in told)
    finally:
        for target in targets[1:]:
            subprocess.run(["umount", str(target)], check=False)
    assert not (tmp_path / "owner.json").exists()


@pytest.mark.contract
def test_a_host_that_is_lent_over_ssh_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = tmp_path / "claim.json"
    claim.write_text('{"machine_id": "1", "by": "ann@desk", "name": "talk"}')
    monkeypatch.setattr(local, "OVER_SSH", claim)
    monkeypatch.setattr(local, "OWNER_FILE", tmp_path / "owner.json")
    monkeypatch.setattr(local, "LOCK_FILE", tmp_path / "owner.lock")
    lab = Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())
    with pytest.raises(Locked, match=r"claimed over SSH by ann@desk \(talk\)"):
        local.create(lab, MachineSpec(provider="local"), keys.seed(tmp_path / "m"), tmp_path / "m")
    assert not (tmp_path / "owner.json").exists()


@pytest.mark.timeout(600)
def test_disks_are_attached(row: Row, tmp_path: Path) -> None:
    provider, lab = row.provider, row.lab
    if not provider.FEATURES.disks:
        assert not hasattr(provider, "attach"), "a provider that says it has no disks offers none"
        return
    image = tmp_path / "a disk,with comma.img"
    image.write_bytes(b"lab" + bytes((1 << 20) - 3))
    handle = row.create()
    endpoint = provider.start(lab, handle)
    row.alive(handle)
    attach = provider.attach  # type: ignore[attr-defined]  # the optional Disks protocol
    with connect(lab, endpoint, Deadline.after(120)) as link:
        find = ["sh", "-c", "grep -l art-1 /sys/block/*/serial | cut -d/ -f4"]
        for _ in range(2):
            attach(lab, handle, image, "art-1")
        seen = Deadline.after(60)
        while not (name := link.run(find, Deadline.after(60)).text().strip()):
            assert not seen.passed(), "the guest never saw the disk"
            seen.sleep(0.2)
        assert link.run(["head", "-c", "3", f"/dev/{name}"], Deadline.after(60)).stdout == b"lab"
        assert link.run(["cat", f"/sys/block/{name}/ro"], Deadline.after(60)).text().strip() == "1"
        attach(lab, handle, image, "art-2")
        second = ["sh", "-c", "grep -l art-2 /sys/block/*/serial"]
        while not link.run(second, Deadline.after(60)).ok:
            assert not seen.passed(), "the guest never saw a second disk beside the first"
            seen.sleep(0.2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", ISOLATED, indirect=True)  # a host that is not ours alone is not stopped
def test_a_machine_that_hangs_is_seen_and_ended(row: Row) -> None:
    provider, lab = row.provider, row.lab
    handle = row.create()
    endpoint = provider.start(lab, handle)
    row.alive(handle)
    assert isinstance(endpoint, SshEndpoint)
    process = row.process(handle, endpoint)
    process.send_signal(signal.SIGSTOP)
    seen = provider.inspect(lab, handle)
    # whoever asks by logging in cannot tell one that hangs from one that is not up yet
    assert (seen.phase, seen.alive) == ("running" if provider.FEATURES.status_by_login else "broken", False)
    provider.stop(lab, handle)
    assert not process.is_running()
    assert provider.inspect(lab, handle).phase == "stopped"
    again = provider.start(lab, handle)
    assert row.alive(handle)
    assert isinstance(again, SshEndpoint)
    assert again.host_key == endpoint.host_key, "the same machine, with the same key"
