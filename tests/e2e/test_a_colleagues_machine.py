"""The ssh provider on a whole machine that we did not bake: what works there, and that it is left as it was found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import foreign_vm
from tests.e2e import script
from tests.support import ROOT, run_lab, test_home

SCRIPTS = Path(__file__).parent / "colleague"
# its own life goes on: logs, clocks, what was asked with `ssh`
LISTING = (
    "sudo find / -xdev ( -path /var/log -o -path /tmp -o -path /var/tmp -o -path /var/lib/systemd -o -path /home ) "
    r"-prune -o ( -type f ( -path /etc* -o -path /usr* -o -path /boot* ) -printf %p_%M_%u:%g_%s\\n ) "
    r"-o -printf %p_%M_%u:%g\\n"
)
MOVING = ("fs.dentry", "fs.inode", "fs.file-nr", "fs.quota", "kernel.random", "kernel.ns_last_pid", "kernel.pty.nr")


def state(there: foreign_vm.Foreign) -> dict[str, list[str]]:
    """What a machine is: its files, packages, kernel settings and mounts."""
    asked = {
        "files": LISTING.replace("(", r"\(").replace(")", r"\)").replace("*", r"\*"),
        "packages": r"dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'",
        "settings": "sudo sysctl -a 2>/dev/null",
        "mounts": "cat /proc/self/mounts",
        "users": "cat /etc/passwd /etc/group; ls -A /tmp /var/tmp; systemctl list-units --all --plain 'lab*'",
    }
    told = {what: sorted(there.run(line).splitlines()) for what, line in asked.items()}
    told["settings"] = [line for line in told["settings"] if not line.startswith(MOVING)]
    assert len(told["files"]) > 5000
    assert len(told["settings"]) > 500
    assert len(told["packages"]) > 100
    return told


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    return [
        f"{what}: {sign} {line}"
        for what in before
        for sign, one, other in (("gone", before, after), ("new", after, before))
        for line in sorted(set(one[what]) - set(other[what]))
    ]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[foreign_vm.Foreign]:
    """A machine as its owner has it, which this host's `ssh` knows as `colleague`."""
    with foreign_vm.running(tmp_path / "vm") as running:
        monkeypatch.setenv("PATH", foreign_vm.known_to_ssh(running, tmp_path / "bin"))
        yield running


def play(name: str, cwd: Path) -> None:
    for said in script.run(SCRIPTS / f"{name}.txt", home=test_home(), cwd=cwd):
        print(said)


@pytest.mark.vm
@pytest.mark.timeout(900)
def test_a_machine_that_is_only_borrowed(there: foreign_vm.Foreign, tmp_path: Path) -> None:
    before = state(there)
    play("1-as-it-is", tmp_path)
    assert differences(before, state(there)) == []


@pytest.mark.nightly
def test_a_machine_that_may_be_changed(there: foreign_vm.Foreign, tmp_path: Path) -> None:
    before = state(there)
    play("2-changed", tmp_path)
    # its owner goes on working meanwhile
    there.run("sudo sysctl -q -w kernel.perf_event_paranoid=2; echo '# mine' | sudo tee -a /etc/sysctl.d/60-lab.conf")
    ran = run_lab("down", "c", home=test_home(), limit_s=600)
    assert ran.code == 0, ran.stderr
    assert "not restored on the machine: file /etc/sysctl.d/60-lab.conf: changed since by another program" in ran.stderr
    assert "sysctl kernel.perf_event_paranoid: set to 2 since by another program" in ran.stderr
    there.run("sudo sysctl -q -w kernel.perf_event_paranoid=3; sudo rm /etc/sysctl.d/60-lab.conf")
    assert differences(before, state(there)) == []


@pytest.mark.nightly
def test_what_a_machine_lacks_is_told_before_anything_is_done(there: foreign_vm.Foreign) -> None:
    """Each lack made for real, one after the other; the last ones cannot be mended."""
    argv = ("up", "c", "--provider", "ssh", "--address", "colleague")
    lacks = (
        ("sudo mount -t tmpfs none /sys/kernel/btf", "sudo umount /sys/kernel/btf", "ssh.btf"),
        ("sudo mv /usr/bin/python3 /usr/bin/away", "sudo mv /usr/bin/away /usr/bin/python3", "ssh.python"),
        ("sudo mv /usr/bin/apt-get /usr/bin/away", "sudo mv /usr/bin/away /usr/bin/apt-get", "ssh.apt"),
        ("echo u | sudo tee /proc/sysrq-trigger; sleep 2", "sudo mount -o remount,rw /", "ssh.disk"),
        ("sudo rm /etc/sudoers.d/friend", "true", "ssh.root"),
    )
    for make, mend, name in lacks:
        there.run(make)
        more = ("--allow-host-changes",) if name == "ssh.apt" else ()
        ran = run_lab(*argv, *more, home=test_home(), limit_s=120)
        told = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
        assert (ran.code, len(told)) == (4, 1), ran.stderr
        assert told[0].startswith(f"error: {name}:")
        assert ran.stderr.count("fix:   ") == 1
        print(told[0])
        there.run(mend)
    assert there.run("ls -A /var/lib | grep -c ^lab; true").strip() == "0"
    assert run_lab("down", "c", home=test_home()).code == 0


@pytest.mark.nightly
def test_a_kill_while_it_is_changed(there: foreign_vm.Foreign) -> None:
    """Killed in the middle of the playbook, on both sides of it; then taken back, by its owner alone in the end."""
    before = state(there)
    argv = ["up", "c", "--provider", "ssh", "--address", "colleague", "--allow-host-changes"]
    for seconds in (25, 70):
        env = {**os.environ, "LAB_HOME": str(test_home()), "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-m", "lab", *argv], env=env, stderr=subprocess.DEVNULL) as child:
            time.sleep(seconds)
            child.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 300  # what was begun there ends by itself
    while there.run("pgrep -x 'apt-get|dpkg|python3'; true") and time.monotonic() < ends:
        time.sleep(2)
    ran = run_lab(*argv, home=test_home(), limit_s=900)
    assert ran.code == 0, ran.stderr
    told = there.run("sudo python3 /var/lib/lab/guest_claim.py restore", limit_s=300)
    assert "package bpftool" in told
    assert differences(before, state(there)) == []
    assert run_lab("down", "c", home=test_home()).code == 0
