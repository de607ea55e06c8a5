"""The room's checks: every failure has one fix, and what can be installed is installed by argv lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.machines import doctor, host_packages
from lab.machines.providers.vagrant import provider as vagrant
from lab.machines.vm import acceleration
from lab.model.config import Config
from lab.model.errors import LabError, SecurityStop, TransientError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch, Finding, MachineSpec
from lab.model.paths import Paths
from lab.system import resources


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def test_every_finding_that_is_not_ok_has_a_fix(lab: Lab) -> None:
    findings = doctor.checks(lab, MachineSpec())
    assert {"ansible", "load", "qemu", "disk", "memory"} <= {found.name for found in findings}
    assert [found for found in findings if found.verdict != "ok" and not found.fix] == []
    assert not lab.paths.home.exists(), "a check changes nothing"


def test_every_command_that_is_needed_is_installed_by_its_package() -> None:
    """Found by its text: a tool that this host happens to have is missed nowhere but on the next one."""
    of_the_same_package = {"apt-config": "apt-get", "sftp": "ssh", "umount": "mount"}
    of_providers = {"vagrant", "virsh", "limactl"}
    text = "".join(path.read_text(encoding="utf-8") for path in resources.PACKAGE.rglob("*.py"))
    named = set(re.findall(r"\b(?:require_tool|_by_tool)\(\"([^\"]+)\"", text)) - of_providers
    assert {"zstd", "lz4", "mke2fs"} <= named
    known = {name for needed in host_packages.needed(HOST_ARCH) for name in (needed.command, *needed.others)}
    assert {of_the_same_package.get(name, name) for name in named} - known == set()


def test_an_unknown_provider_is_one_finding_with_the_known_names(lab: Lab) -> None:
    found = doctor.checks(lab, MachineSpec(provider="quemu"))[-1]
    assert (found.name, found.verdict) == ("provider", "fail")
    assert "qemu" in found.fix


def test_a_qemu_that_hangs_is_one_finding_among_the_others(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(program: str) -> str:
        raise TransientError(f"{program} timed out", fix="run the command again")

    monkeypatch.setattr("lab.system.proc.which", Path)
    monkeypatch.setattr(acceleration, "version_text", hang)
    found = {finding.name: finding for finding in doctor.checks(lab, MachineSpec())}
    assert (found["qemu"].verdict, "timed out" in found["qemu"].message) == ("fail", True)
    assert {"disk", "memory", "acceleration"} <= set(found)


@pytest.mark.parametrize("error", [TransientError("virsh timed out", fix="again"), SecurityStop("a key", fix="none")])
def test_a_tool_of_a_provider_that_fails_is_a_finding_unless_it_is_a_stop(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: LabError
) -> None:
    def refuse(*_: object) -> list[Finding]:
        raise error

    monkeypatch.setattr(vagrant, "check", refuse)
    spec = MachineSpec(provider="vagrant")
    if isinstance(error, SecurityStop):
        with pytest.raises(SecurityStop):
            doctor.checks(lab, spec)
    else:
        assert [(one.name, one.message) for one in doctor.checks(lab, spec) if one.verdict == "fail"] == [
            ("vagrant", "virsh timed out")
        ]


def test_what_is_missing_is_installed_without_a_question(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a host on which nothing is there but apt-get
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    monkeypatch.setattr("lab.system.proc.which", lambda name: apt if name == "apt-get" else None)
    update, install = doctor.install_commands(lab)
    assert update[-1] == "update"
    assert "--yes" in install
    wanted = {needed.package for needed in host_packages.needed(HOST_ARCH)} - {"apt"}
    assert set(install[install.index("--no-install-recommends") + 1 :]) == wanted
    monkeypatch.setattr("lab.system.proc.which", lambda _: None)
    assert doctor.install_commands(lab) == [], "without apt there is nothing that we know how to run"


def test_a_machine_of_another_kind_needs_its_programs_to_run_here(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such interpreter, one that a tree cannot use, one that is switched off: one fix; then none."""
    other: Arch = "aarch64" if HOST_ARCH == "x86_64" else "x86_64"
    assert {one.package for one in host_packages.needed(other)} >= {"qemu-user-static", "binfmt-support"}
    assert "qemu-user-static" not in {one.package for one in host_packages.needed(HOST_ARCH)}
    monkeypatch.setattr(host_packages, "BINFMT", tmp_path)
    monkeypatch.setattr("lab.system.proc.which", lambda name: tmp_path / name)
    for text in ("", "enabled\nflags: P\n", "disabled\nflags: PF\n"):
        (tmp_path / f"qemu-{other}").write_text(text)
        (found,) = host_packages.check_host(other)
        assert (found.verdict, found.fix) == ("fail", f"update-binfmts --enable qemu-{other}")
    (tmp_path / f"qemu-{other}").write_text("enabled\ninterpreter /usr/bin/qemu\nflags: PF\n")
    assert [found.verdict for found in host_packages.check_host(other)] == ["ok"]


def test_sudo_only_for_those_who_need_it() -> None:
    assert doctor.apt_commands(["a"], root=True)[0][0] == "env"
    assert doctor.apt_commands(["a"], root=False)[0][:2] == ["sudo", "env"]


def test_an_older_ansible_is_told_with_its_date() -> None:
    found = doctor.ansible("2.19.14")
    assert found.verdict == "warn"
    assert "2026" in found.message
    assert doctor.ansible("2.21.5").verdict == "ok"
    assert doctor.ansible(None).verdict == "warn"


def test_load_warns_and_never_blocks() -> None:
    assert doctor.load(0.1).verdict == "ok"
    assert doctor.load(10_000).verdict == "warn"
