"""Vagrant's own words (recorded from Debian's 2.3.4 with vagrant-libvirt 0.11.2), its files, its boxes."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.machines import doctor, keys
from lab.machines.providers.vagrant import box as vagrant_box
from lab.machines.providers.vagrant import check as vagrant_check
from lab.machines.providers.vagrant import cli as vagrant_cli
from lab.machines.providers.vagrant import files as vagrant_files
from lab.machines.providers.vagrant import libvirt, virtualbox
from lab.machines.providers.vagrant import provider as vagrant
from lab.machines.vm import acceleration
from lab.model.config import Config
from lab.model.errors import LabError, Locked, PreconditionError, ProvisioningError, SecurityStop
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, MachineSpec
from lab.model.paths import Paths

SAID = Path(__file__).parent / "vagrant_output"
LOG = Path("/home/ann/vagrant.log")
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def recorded(name: str) -> str:
    return (SAID / f"{name}.txt").read_text(encoding="utf-8")


def program(folder: Path, name: str, text: str, code: int = 0) -> None:
    """A program called `name` that says `text`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.said").write_text(text, encoding="utf-8")
    path = folder / name
    path.write_text(f'#!/bin/sh\ncat "{folder}/{name}.said"\nexit {code}\n', encoding="utf-8")
    path.chmod(0o755)


# --- what it prints -----------------------------------------------------------------------------------------------


def test_rows_are_unescaped() -> None:
    found = vagrant_cli.rows(recorded("up"))
    assert found[0] == vagrant_cli.OutputRow(target="exp", kind="metadata", values=("provider", "libvirt"))
    image = next(text for text in vagrant_cli.said(found) if "Image(vda)" in text)
    assert image.endswith("virtio, 16G"), "commas are commas again"
    assert "Machine booted and ready!" in "\n".join(vagrant_cli.said(found))


def test_what_is_no_row_is_passed_over() -> None:
    assert vagrant_cli.rows("\n\nnonsense\n1,2\nWARNING: x, y, z\n") == []


def test_plugins_and_version() -> None:
    assert vagrant_cli.plugins(recorded("plugins")) == {"vagrant-libvirt": "0.11.2"}
    assert vagrant_cli.parse_version(recorded("version")) == (2, 3, 4)
    assert vagrant_cli.parse_version("Vagrant at last\n") is None


@pytest.mark.parametrize(
    ("name", "kind", "words", "fix"),
    [
        ("digest", SecurityStop, "does not match the pinned digest", "machine.digest"),
        ("deaf", PreconditionError, "libvirt does not answer", "lab doctor --install --provider vagrant"),
        ("no-plugin", PreconditionError, "is not installed", "lab doctor --install --provider vagrant"),
        ("crash", ProvisioningError, "unknown output", str(LOG)),
        ("no-json", ProvisioningError, "unknown output", str(LOG)),
    ],
)
def test_each_failure_has_its_error_and_one_fix(name: str, kind: type[LabError], words: str, fix: str) -> None:
    error = vagrant_cli.failure(["up"], 1, recorded(name), LOG)
    assert type(error) is kind
    assert words in error.message
    assert fix in error.fix
    assert error.log == str(LOG)
    assert error.detail
    assert "VAGRANT_COMMA" not in error.detail


def test_a_traceback_is_told_by_its_first_lines() -> None:
    error = vagrant_cli.failure(["up"], 1, recorded("crash"), LOG)
    assert error.exit_code == 5
    assert "virDomainCreateWithFlags failed" in str(error.detail)
    assert len(str(error.detail).splitlines()) <= 6


def test_silence_is_told_too() -> None:
    error = vagrant_cli.failure(["up"], 7, "", LOG)
    assert (error.exit_code, error.detail) == (5, "no output")
    assert "exit code 7" in error.message


def test_a_vagrant_that_is_in_use_is_locked() -> None:
    row = "1795425600,,error-exit,Vagrant::Errors::MachineActionLockedError,An action 'up' was attempted on 'x'"
    assert isinstance(vagrant_cli.failure(["up"], 1, row, LOG), Locked)


def test_the_users_vagrant_settings_do_not_become_ours(tmp_path: Path) -> None:
    mine = {"VAGRANT_CWD": "/elsewhere", "VAGRANT_VAGRANTFILE": "Other", "VAGRANT_HOME": "/big/disk", "PATH": "/bin"}
    made = vagrant_cli.environment(tmp_path, mine)
    assert made["VAGRANT_CWD"].endswith("/vagrant")
    assert "VAGRANT_VAGRANTFILE" not in made
    assert (made["VAGRANT_HOME"], made["PATH"]) == ("/big/disk", "/bin")


# --- what libvirt and VirtualBox say ------------------------------------------------------------------------------

RUNNING = """running (booted)
No errors found
 vnet0      52:54:00:d3:60:8b    ipv4         10.130.7.7/24
"""


@pytest.mark.parametrize(
    ("text", "errors", "state", "address"),
    [
        (RUNNING, "", "running", "10.130.7.7"),
        ("shut off (destroyed)\n", "error: Requested operation is not valid: domain is not running\n", "shut off", ""),
        ("paused (I/O error)\nvda: no space\n", "", "paused", ""),
        ("", "error: failed to get domain '7d2eca06-109d-6b73-7d03-89c618f00edd'\n", "absent", ""),
        ("", "error: something new\n", "deaf", ""),
        ("", "", "deaf", ""),
    ],
)
def test_virsh_is_understood(text: str, errors: str, state: str, address: str) -> None:
    asked = libvirt.parse(text, errors)
    assert (asked.state, asked.address) == (state, address)


def test_a_libvirt_that_does_not_run_is_told(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt, "URI", f"qemu+unix:///system?socket={tmp_path}/nobody")
    assert libvirt.ask(lab, "00000000-0000-0000-0000-000000000000").state == "deaf"
    assert libvirt.reachable(lab)


def test_virtualbox_by_its_manual() -> None:
    """Not recorded: nobody of us ran it."""
    asked = virtualbox.parse('name="lab"\nVMState="running"\nForwarding(0)="ssh,tcp,127.0.0.1,2222,,22"\n')
    assert (asked.state, asked.address) == ("running", "127.0.0.1:2222")
    assert virtualbox.parse('VMState="poweroff"\n').state == "shut off"


# --- this host ----------------------------------------------------------------------------------------------------


def findings(lab: Lab, spec: MachineSpec) -> dict[str, str]:
    found = vagrant_check.check(lab, spec)
    assert [one for one in found if one.verdict != "ok" and not one.fix] == []
    return {one.name: one.message for one in found if one.verdict == "fail"}


def test_no_vagrant(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.system.proc.which", lambda _: None)
    failed = findings(lab, MachineSpec(provider="vagrant"))
    assert "not installed" in failed["vagrant"]
    assert "vagrant.libvirt" in failed


def test_a_vagrant_that_is_too_old(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "vagrant", "Vagrant 2.1.5\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    assert "2.1.5 is too old" in findings(lab, MachineSpec(provider="vagrant"))["vagrant"]


def test_a_vagrant_without_the_plugin(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "vagrant", recorded("version"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    assert "is not installed" in findings(lab, MachineSpec(provider="vagrant"))["vagrant.vagrant-libvirt"]


def test_a_vagrant_that_says_something_else(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "vagrant", "It is a nice day\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    told = {one.name: one.verdict for one in vagrant_check.check(lab, MachineSpec(provider="vagrant"))}
    assert told["vagrant"] == "warn", "a version that cannot be read is no reason to stop"


def test_vagrant_that_fails_in_words_we_do_not_know(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "vagrant", "Es ist ein Fehler aufgetreten\n", code=3)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ProvisioningError, match="exit code 3 and unknown output") as caught:
        vagrant_cli.run(lab, tmp_path, ["up"], limit_s=20)
    assert caught.value.exit_code == 5
    assert caught.value.log is not None
    assert "Fehler" in Path(caught.value.log).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"driver": "hyperv"}, "vagrant.driver"),
        ({"arch": "aarch64" if HOST_ARCH == "x86_64" else "x86_64"}, "vagrant.arch"),
        ({"accel": "hvf"}, "vagrant.accel"),
        ({"driver": "virtualbox"}, "vagrant.box"),
        ({"source": "debian/bookworm64"}, "vagrant.box"),
        ({"source": "https://boxes.example/debian.box", "digest": "sha256:12"}, "vagrant.box"),
        ({"source": "https://boxes.example/debian.box", "digest": "md5:" + "0" * 32}, "vagrant.box"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(lab: Lab, changed: dict[str, str], name: str) -> None:
    assert list(findings(lab, replace(MachineSpec(provider="vagrant"), **changed))) == [name]  # type: ignore[arg-type]


@pytest.mark.parametrize(("tried", "accel"), [("tcg", "tcg"), ("kvm", "kvm"), (None, "kvm")])
def test_kvm_that_libvirt_offers_must_have_booted_something_here(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tried: str | None, accel: str
) -> None:
    monkeypatch.setattr(libvirt, "has_kvm", lambda _: True)
    monkeypatch.setattr("lab.system.proc.which", lambda _: Path("/usr/bin/qemu-system-x86_64"))
    known = None if tried is None else acceleration.Accel(name=tried, reason="a trial boot")
    monkeypatch.setattr(acceleration, "remembered", lambda *_: known)
    given = vagrant_box.Box(path=tmp_path / "debian.box", digest=DIGEST)
    assert vagrant.accel_of(lab, MachineSpec(provider="vagrant"), "libvirt", given) == accel
    assert vagrant.accel_of(lab, MachineSpec(accel="kvm"), "libvirt", given) == "kvm", "as asked"
    monkeypatch.setattr(acceleration, "find", lambda *_, **__: known)
    own = replace(given, kernel=tmp_path / "vmlinux", image_id="0123")
    assert known is None or vagrant.accel_of(lab, MachineSpec(provider="vagrant"), "libvirt", own) == accel


# --- the files that Vagrant reads ---------------------------------------------------------------------------------


def test_the_vagrantfile_has_no_logic() -> None:
    from lab.system import resources

    text = (resources.root() / "vagrant/Vagrantfile").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    assert not {"if", "unless", "case", "system", "require_relative"} & set(text.split())


def test_the_json_holds_all_and_stays_the_same(tmp_path: Path) -> None:
    seed = keys.seed(tmp_path / "machine")
    work = tmp_path / "machine/vagrant"
    spec = MachineSpec(name="talk", provider="vagrant", cpus=3, memory_mib=512)
    given = vagrant_box.Box(path=tmp_path / "x.box", digest=DIGEST)
    vagrant_files.write(work, spec, seed, given, driver="libvirt", accel="tcg", taken=[])
    first = vagrant_files.read(work)
    assert first["libvirt"]["management_network_mode"] == "nat"
    assert (first["libvirt"]["cpus"], first["libvirt"]["memory"], first["libvirt"]["driver"]) == (3, 512, "qemu")
    assert first["vm"]["box_download_checksum"] == "0" * 64
    # once chosen, the network stays: what is there of it is this machine's own
    taken = [first["lab"]["subnet"]]
    vagrant_files.write(work, spec, seed, given, driver="libvirt", accel="tcg", taken=taken)
    assert vagrant_files.read(work) == first
    handle = vagrant.recover(seed, "talk", tmp_path / "machine")
    assert (handle.driver, handle.accel, handle.image_id) == ("libvirt", "tcg", "")
    assert (work / vagrant_files.SCRIPT_FILE).stat().st_mode & 0o777 == 0o600, "it holds a private key"


def test_a_network_that_this_host_has_is_not_taken() -> None:
    ident = "00010203" + "0" * 24
    assert vagrant_files.free_subnet(ident, []) == "10.64.1.0/24"
    assert vagrant_files.free_subnet(ident, ["10.64.1.7/24", "127.0.0.1/8"]) == "10.65.2.0/24"
    with pytest.raises(PreconditionError):
        vagrant_files.free_subnet(ident, ["10.0.0.1/8"])


def test_the_script_for_a_box_is_a_script(tmp_path: Path) -> None:
    seed = keys.seed(tmp_path)
    text = vagrant_files.script(seed)
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    assert seed.host_key_private.read_text() in text


def test_a_machine_that_was_never_made_is_left_in_peace(lab: Lab, tmp_path: Path) -> None:
    seed = keys.seed(tmp_path)
    handle = vagrant.recover(seed, "talk", tmp_path)
    assert vagrant.inspect(lab, handle).phase == "absent"
    vagrant.stop(lab, handle)
    vagrant.delete(lab, handle)  # needs neither Vagrant nor libvirt


def test_what_is_missing_is_installed_and_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    monkeypatch.setattr("lab.system.proc.which", lambda name: apt if name == "apt-get" else None)
    monkeypatch.setattr(vagrant_check, "SYSTEMD", tmp_path)
    config = Config(machine=replace(Config().machine, provider="vagrant"))
    lab = Lab(config=config, paths=Paths(home=tmp_path / "home"), bus=Bus())
    _, install, start = doctor.install_commands(lab)
    assert {"vagrant", "vagrant-libvirt", "libvirt-daemon-system", "libvirt-clients"} <= set(install)
    assert start[-4:] == ["systemctl", "enable", "--now", "libvirtd"]
    monkeypatch.setattr(vagrant_check, "SYSTEMD", tmp_path / "none")
    assert [argv[-2:] for argv in doctor.install_commands(lab)[2:]] == vagrant_check.DAEMONS
    plain = replace(lab, config=Config())
    assert not any("vagrant" in word for argv in doctor.install_commands(plain) for word in argv)
