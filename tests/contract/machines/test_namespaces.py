"""Nothing that runs in the enclosure can change this host's kernel. Needs root, as making an image does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.machines.provisioning import namespaces

pytestmark = pytest.mark.contract

# Counters and clocks that move by themselves; everything else in /proc/sys is a setting.
MOVING = re.compile(
    r"^(fs\.(dentry-state|file-nr|inode-nr|inode-state|quota\.)|kernel\.(random|ns_last_pid|pty\.nr|threads-max)|"
    r"net\.netfilter\.nf_conntrack_count|vm\.stat_refresh)"
)


def settings() -> list[str]:
    """Every kernel setting of this host as `sysctl -a` shows it, without those that move by themselves."""
    text = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, check=True).stdout
    return sorted(line for line in text.splitlines() if not MOVING.match(line))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The host's own programs as a tree: enough to chroot into."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root, as making an image does")
    tree = tmp_path / "tree"
    for name in ("proc", "run", "tmp", "host"):
        (tree / name).mkdir(parents=True)
    return tree


def run_enclosed(tree: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(namespaces.enclosed(tree, argv), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("inside", ["/proc/sys", "{tree}/proc/sys"])
@pytest.mark.parametrize("name", ["vm/swappiness", "kernel/hostname", "kernel/printk", "fs/protected_symlinks"])
def test_no_setting_can_be_written(tree: Path, inside: str, name: str) -> None:
    before = settings()
    path = f"{inside.format(tree=tree)}/{name}"
    done = run_enclosed(tree, "sh", "-c", f'value=$(cat {path}) && echo "read $value" && echo 1 > {path}')
    assert "read " in done.stdout, done.stderr
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
    assert settings() == before


def test_what_is_left_in_run_and_tmp_does_not_stay(tree: Path) -> None:
    done = run_enclosed(tree, "touch", str(tree / "run/left"), str(tree / "tmp/left"))
    assert done.returncode == 0, done.stderr
    assert list((tree / "run").iterdir()) == list((tree / "tmp").iterdir()) == []


def test_no_mount_process_or_name_of_the_enclosure_is_seen_outside(tree: Path) -> None:
    name = os.uname().nodename
    done = run_enclosed(
        tree, "sh", "-c", "hostname enclosed && mount --bind /usr $0/host && ls /proc | grep -c '^[0-9]'", str(tree)
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 6, "it sees processes of the host"
    assert os.uname().nodename == name
    assert str(tree) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def test_it_has_no_network(tree: Path) -> None:
    done = run_enclosed(tree, "cat", "/proc/net/dev")
    names = {line.split(":")[0].strip() for line in done.stdout.splitlines() if ":" in line}
    assert names <= {"lo"}, names


def test_the_commands_exit_code_comes_back(tree: Path) -> None:
    assert run_enclosed(tree, "sh", "-c", "exit 7").returncode == 7
