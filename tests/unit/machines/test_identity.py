"""Keys, access files, state and journal of one machine."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import pytest

from lab.machines import journal, keys, state
from lab.machines.providers.local import check as local_check
from lab.machines.providers.local import mounts as local_mounts
from lab.machines.providers.qemu.qmp import forwarded_port
from lab.machines.providers.qemu.start import QemuHandle
from lab.machines.vm import heartbeat
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import LocalEndpoint, Machine, MachineSpec, SshEndpoint
from lab.model.paths import Paths


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def test_keys_are_made_once_and_openssh_reads_them(tmp_path: Path) -> None:
    first = keys.seed(tmp_path)
    assert keys.seed(tmp_path) == first
    assert len(first.machine_id) == 32
    for private, public in (
        (first.host_key_private, first.host_key_public),
        (first.user_key_private, first.user_key_public),
    ):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        told = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], check=True, capture_output=True, text=True)
        assert told.stdout.split()[:2] == public.split()[:2]
    assert keys.seed(tmp_path / "other").machine_id != first.machine_id


def test_openssh_understands_our_config_with_odd_paths(tmp_path: Path) -> None:
    directory = tmp_path / "a b%c ü"
    seed = keys.seed(directory)
    endpoint = SshEndpoint(
        host="127.0.0.1", port=40022, user="root", identity_file=seed.user_key_private, host_key=seed.host_key_public
    )
    keys.write_access(directory, "lab", endpoint)
    argv = ["ssh", "-G", "-F", str(directory / "ssh.config"), "lab"]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "stricthostkeychecking true" in told
    assert f"userknownhostsfile {directory}/known_hosts".replace("%", "%%") in told or (
        f"userknownhostsfile {directory}/known_hosts" in told
    )
    assert {"port 40022", "user root", "identitiesonly yes", "forwardagent no", "identityagent none"} <= set(told)
    assert (directory / "known_hosts").read_text().startswith("[127.0.0.1]:40022 ssh-ed25519 AAAA")


def test_a_windows_path_is_written_as_openssh_reads_it_there() -> None:
    endpoint = SshEndpoint(host="127.0.0.1", port=1, user="root", identity_file=None, host_key="ssh-ed25519 A")
    text = keys.ssh_config("lab", endpoint, PureWindowsPath(r"C:\Users\Ann Bö\lab\known_hosts"))
    assert 'UserKnownHostsFile "C:/Users/Ann Bö/lab/known_hosts"' in text


@pytest.mark.parametrize("endpoint", [None, LocalEndpoint(), "ssh"])
def test_state_comes_back_as_it_was(lab: Lab, endpoint: object) -> None:
    if endpoint == "ssh":
        endpoint = SshEndpoint(host="h", port=1, user="u", identity_file=Path("/k"), host_key="ssh-ed25519 A")
    handle = QemuHandle(
        provider="qemu",
        name="lab",
        machine_id="0" * 32,
        directory=str(lab.paths.machine("lab")),
        uuid="u",
        run_dir="/r",
        identity="/k",
        host_key="ssh-ed25519 A",
        kernel="/vmlinux",
        kernel_seen=(1, 2),
    )
    assert endpoint is None or isinstance(endpoint, LocalEndpoint | SshEndpoint)
    machine = Machine(spec=MachineSpec(), handle=handle, endpoint=endpoint, image_id="i", accel="tcg")
    state.save(lab, machine)
    assert state.load(lab, "lab") == machine
    assert state.names(lab) == ["lab"]


def test_a_torn_state_falls_back_to_the_one_before(lab: Lab) -> None:
    machine = state.save(lab, Machine(spec=MachineSpec()))
    state.save(lab, replace(machine, image_id="newer"))
    (lab.paths.machine("lab") / "machine.json").write_bytes(b"\0\0{")
    assert state.load(lab, "lab") == machine


def test_a_journal_tells_where_a_command_was_killed(lab: Lab) -> None:
    with journal.entry(lab, "lab", "up", "create"):
        assert journal.interrupted(journal.read(lab, "lab")) == "create"
    assert journal.interrupted(journal.read(lab, "lab")) is None
    with pytest.raises(ValueError, match="x"), journal.entry(lab, "lab", "up", "start"):
        raise ValueError("x")
    assert journal.interrupted(journal.read(lab, "lab")) is None
    assert [line.state for line in journal.read(lab, "lab")] == ["intent", "done", "intent", "failed"]


def test_the_last_whole_heartbeat_counts(tmp_path: Path) -> None:
    log = tmp_path / "heartbeat.jsonl"
    assert heartbeat.last_beat(log) is None
    log.write_text('\n{"boot_id": "a", "image_id": "i", "uptime_s": 1}\n\n{"boot_id": "b", "image_id": "i", "upt')
    seen = heartbeat.last_beat(log)
    assert seen is not None
    assert (seen.boot_id, seen.image_id) == ("a", "i")
    assert 0 <= seen.age_s < 60


def test_the_forward_is_read_from_qemus_own_table() -> None:
    text = (
        "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
        "  TCP[HOST_FORWARD]  14       127.0.0.1 55751       10.0.2.15    22     0     0\r\n"
    )
    assert forwarded_port(text) == 55751
    assert forwarded_port("") is None


def test_what_we_mounted_is_known_from_the_journal() -> None:
    changes = [
        local_mounts.MountChange(mount="/sys/fs/bpf", boot_id="old"),
        local_mounts.MountChange(mount="/sys/kernel/tracing", boot_id="now"),
        local_mounts.MountChange(mount="/sys/kernel/security", boot_id="now"),
    ]
    assert local_mounts.ours(changes, "now") == ["/sys/kernel/tracing", "/sys/kernel/security"]


def test_mountinfo() -> None:
    text = "26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n35 26 0:7 / /sys/fs/bpf rw - bpf lab-1 rw\nbroken\n"
    seen = [(m.target, m.kind, m.source) for m in local_mounts.parse_mountinfo(text)]
    assert seen == [("/", "ext4", "/dev/vda"), ("/sys/fs/bpf", "bpf", "lab-1")]


def test_this_host_as_a_machine_says_exactly_what_is_missing() -> None:
    assert local_check.root(1000).verdict == "fail"
    assert local_check.lockdown("[none] integrity confidentiality\n").verdict == "ok"
    locked = local_check.lockdown("none [integrity] confidentiality\n")
    assert (locked.verdict, locked.data) == ("warn", {"lockdown": "integrity"})
    assert local_check.lockdown(None).data == {"lockdown": "unknown"}
    missing = {found.name: found.verdict for found in local_check.kernel(lambda path: path == local_check.BTF)}
    assert missing == {"local.btf": "ok", "local.uprobes": "warn", "local.kprobes": "warn"}
