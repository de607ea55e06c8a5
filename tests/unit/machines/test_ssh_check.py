"""What is found on a machine that is somebody else's, from what the probe said of real ones and of bad ones."""

from __future__ import annotations

import json
import subprocess

import pytest

from lab.machines.providers.ssh import check as ssh_check
from lab.machines.providers.ssh import claim as ssh_claim
from lab.model.machine import HOST_ARCH, MachineSpec
from lab.system import resources

# of the Debian 12 that tests/foreign_vm.py makes
GOOD = """\
uid=1000
become=yes
system=Linux
arch=x86_64
kernel=6.1.0-56-cloud-amd64
python=3.11
btf=yes
uprobes=yes
apt=yes
emulated=yes
free_kib=5452595
mount=/ rw,relatime
claim=
local=
"""
SPEC = MachineSpec(provider="ssh", arch="x86_64", allow_host_changes=True)
CLAIM = {"machine_id": "1", "by": "ann@desk\n\x1b[31m", "name": "talk", "home": "/home/ann/lab", "since": "now"}


def failed(text: str, spec: MachineSpec = SPEC) -> dict[str, str]:
    found = ssh_check.findings(ssh_check.parse(text), spec, "friend")
    return {each.name: f"{each.message} — {each.fix}" for each in found if each.verdict != "ok"}


def test_a_good_machine() -> None:
    assert failed(GOOD) == {}
    facts = ssh_check.parse(GOOD)
    assert (facts.root, facts.become, facts.emulated, facts.free_mib) == (True, True, True, 5324)


@pytest.mark.parametrize(
    ("was", "now", "name", "words"),
    [
        ("become=yes", "become=no", "ssh.root", "NOPASSWD"),
        ("python=3.11", "python=", "ssh.python", "no python3"),
        ("python=3.11", "python=3.8", "ssh.python", "3.8, 3.9 or newer is needed"),
        ("btf=yes\n", "", "ssh.btf", "no BTF"),
        ("uprobes=yes\n", "", "ssh.uprobes", "no uprobes"),
        ("/ rw,relatime", "/ ro,relatime", "ssh.disk", "remount,rw"),
        ("/ rw,relatime", "/ rw\nmount=/var rw,noexec", "ssh.disk", "noexec"),
        ("free_kib=5452595", "free_kib=1000", "ssh.disk", "0 MiB free"),
        ("arch=x86_64", "arch=aarch64", "ssh.arch", "--arch aarch64"),
        ("arch=x86_64", "arch=riscv64", "ssh.arch", "another --address"),
        ("system=Linux", "system=FreeBSD", "ssh.system", "FreeBSD, not Linux"),
        ("apt=yes\n", "", "ssh.apt", "remove --allow-host-changes"),
        ("claim=", f"claim={json.dumps(CLAIM)}", "ssh.claim", "ann@desk[31m (talk in /home/ann/lab, since now)"),
        ("local=", 'local={"directory": "/home/bob/lab"}', "ssh.claim", "/home/bob/lab"),
    ],
)
def test_each_lack_is_one_finding_with_its_fix(was: str, now: str, name: str, words: str) -> None:
    assert was in GOOD
    found = failed(GOOD.replace(was, now))
    assert list(found) == [name]
    assert words in found[name]


def test_nothing_that_needs_root_is_claimed_where_there_is_none() -> None:
    assert list(failed(GOOD.replace("become=yes", "become=no").replace("python=3.11", "python="))) == ["ssh.root"]


def test_apt_is_needed_only_for_changes() -> None:
    assert failed(GOOD.replace("apt=yes\n", ""), MachineSpec(provider="ssh", arch="x86_64")) == {}


def test_silence_is_no_permission() -> None:
    assert "ssh.system" in failed("")


def test_the_probe_runs_in_any_posix_shell() -> None:
    """Here, as whoever runs the tests: the words are the ones that are understood."""
    ran = subprocess.run(["sh", "-c", ssh_check.PROBE], capture_output=True, text=True, check=True)
    facts = ssh_check.parse(ran.stdout)
    assert (facts.system, facts.arch) == ("Linux", HOST_ARCH)
    assert facts.free_mib > 0
    assert "rw" in facts.options or "ro" in facts.options
    assert ran.stderr == ""


def test_what_is_noted_beforehand_is_what_the_playbook_lays() -> None:
    wanted = ssh_claim.wanted()
    assert "/etc/sysctl.d/60-lab.conf" in wanted["files"]
    assert wanted["sysctls"]["kernel.perf_event_paranoid"] == "-1"
    assert "bpftool" in wanted["packages"]
    assert not [name for name in wanted["packages"] if name.startswith(("clang", "llvm"))]
    runtime = (resources.root() / ssh_claim.ROLE / "usr/lib/lab/apply-runtime").read_text()
    assert {f"ensure {place} {kind}" for place, kind in wanted["mounts"].items()} == {
        line for line in runtime.splitlines() if line.startswith("ensure /")
    }
