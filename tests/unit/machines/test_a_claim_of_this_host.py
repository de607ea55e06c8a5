"""Who has this very host: a claim is given back only by its own machine, and a stale one holds nobody up.

Cases: local-down-leaves-run, state-handle-empty.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux import ending
from lab.machines import keys
from lab.machines.providers.local import mounts as local_mounts
from lab.machines.providers.local import provider as local
from lab.machines.providers.local.provider import LocalHandle
from lab.machines.providers.ssh import check as ssh_check
from lab.machines.providers.ssh import claim as ssh_claim
from lab.model.errors import Locked
from lab.model.events import Record
from lab.model.lab import Lab
from lab.model.machine import MachineSpec
from lab.remote.localhost import LocalTransport
from lab.system.wait import Deadline
from tests.support import lab_at

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a local machine needs root")
TORN = ["", '{"machine_id', "[]", '{"machine_id": 1}', "[" * 100_000, "a folder", "a pipe"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a file system of ours would be mounted; claim, lock and register lie elsewhere than the real ones."""
    monkeypatch.setenv(ending.RUNTIME_ENV, str(tmp_path / "runtime"))
    for name in ("OWNER_FILE", "LOCK_FILE", "OVER_SSH"):
        monkeypatch.setattr(local, name, tmp_path / name)
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr(local, "MOUNTS", (("tmpfs", str(tmp_path / "mounted")),))
    yield tmp_path / "mounted"
    while (tmp_path / "mounted").is_mount():
        subprocess.run(["umount", "--lazy", str(tmp_path / "mounted")], check=True)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def lab(tmp_path: Path, place: Path, told: list[str]) -> Lab:
    def tell(record: Record) -> None:
        told.append(str(getattr(record.event, "text", "")))

    made = lab_at(tmp_path / "home")
    made.bus.add(tell)
    return made


def made(lab: Lab, name: str) -> LocalHandle:
    folder = lab.paths.machine(name)
    return local.create(lab, MachineSpec(name=name, provider="local"), keys.seed(folder), folder)


def recovered(lab: Lab, name: str) -> LocalHandle:
    folder = lab.paths.machine(name)
    return local.recover(keys.seed(folder), name, folder)


def tear(what: str) -> None:
    local.OWNER_FILE.unlink(missing_ok=True)
    if what == "a folder":
        local.OWNER_FILE.mkdir()
    elif what == "a pipe":
        os.mkfifo(local.OWNER_FILE)
    else:
        local.OWNER_FILE.write_text(what)


@pytest.mark.parametrize("what", TORN, ids=range(len(TORN)))
def test_an_unreadable_claim_is_given_back_only_by_its_own_machine(lab: Lab, told: list[str], what: str) -> None:
    mine = made(lab, "m")
    tear(what)
    with pytest.raises(Locked, match="cannot read the claim") as caught:
        made(lab, "second")
    assert caught.value.fix == f"if no other lab uses this host: sudo rm -r {local.OWNER_FILE}"
    for name in ("m", "second"):  # of lost state: nothing tells that the claim is its own
        told.clear()
        local.delete(lab, recovered(lab, name))
        assert os.path.lexists(local.OWNER_FILE)
        assert any("may be another machine's and stays" in text and "sudo rm -r" in text for text in told)
    local.delete(lab, mine)
    assert not os.path.lexists(local.OWNER_FILE)
    made(lab, "second")


def test_a_claim_of_another_machine_is_not_given_back(lab: Lab, told: list[str]) -> None:
    made(lab, "m")
    local.delete(lab, recovered(lab, "second"))
    assert json.loads(local.OWNER_FILE.read_text())["directory"] == str(lab.paths.machine("m"))
    assert told == []


def moved_away(lab: Lab, name: str) -> Path:
    folder = lab.paths.machine(name)
    folder.rename(folder.with_name("elsewhere"))
    return folder


def test_a_stale_claim_is_named_and_cleared(lab: Lab, told: list[str], place: Path) -> None:
    local.start(lab, made(lab, "m"))
    assert place.is_mount()
    gone = moved_away(lab, "m")
    made(lab, "second")
    assert any(f"the stale claim of this host by the machine in {gone}" in text for text in told)
    assert not place.is_mount()
    assert json.loads(local.OWNER_FILE.read_text())["directory"] == str(lab.paths.machine("second"))


@pytest.fixture
def running(lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries the mark of a run of the machine m."""
    out = str(lab.paths.machine("m") / "guest/runs/r1/guest")
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, ending.OUT_ENV: out})
    yield child
    child.kill()
    child.wait()


def test_a_claim_whose_folder_is_gone_but_not_its_run_is_no_stale_one(
    lab: Lab, running: subprocess.Popen[bytes]
) -> None:
    handle = made(lab, "m")
    gone = moved_away(lab, "m")
    with pytest.raises(Locked, match=rf"that folder was removed, but pid {running.pid} .* still runs") as caught:
        made(lab, "second")
    assert caught.value.fix == f"lab down m --home {lab.paths.home}"
    assert running.poll() is None
    assert [each.machine_id for each in local.lost(gone.parent)] == [handle.machine_id]
    local.delete(lab, local.lost(gone.parent)[0])
    assert running.wait(10)
    made(lab, "second")


@pytest.mark.parametrize("busy", [False, True])
def test_mounts_whose_claim_was_removed_by_hand_go_with_the_next_one(
    lab: Lab, told: list[str], place: Path, busy: bool
) -> None:
    local.start(lab, made(lab, "m"))
    local.OWNER_FILE.unlink()
    moved_away(lab, "m")
    used = subprocess.Popen(["sleep", "60"], cwd=place if busy else "/")
    try:
        local.start(lab, made(lab, "second"))
        assert any("is still mounted by a removed machine" in text for text in told)
        assert any("is in use" in text for text in told) == busy
    finally:
        used.kill()
        used.wait()
    local.delete(lab, recovered(lab, "second"))
    assert place.is_mount() == busy
    local.delete(lab, made(lab, "third"))
    assert not place.is_mount()


def test_a_mount_of_somebody_else_stays(lab: Lab, place: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "lab-mine", str(place)], check=True)
    try:
        local.delete(lab, made(lab, "m"))
        assert [mount.source for mount in local_mounts.mounts() if mount.target == str(place)] == ["lab-mine"]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_who_is_not_root_is_not_asked_about_this_host(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    """A machine of another kind whose state was lost: each provider is asked to remove it."""
    made(lab, "m")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    local.delete(lab, dataclasses.replace(recovered(lab, "second")))
    assert local.OWNER_FILE.exists()


# --- the same claim, seen over SSH -----------------------------------------------------------------------------------


def held(lab: Lab, claim: dict[str, Any]) -> str:
    return ssh_claim.in_use(LocalTransport(lab), claim, Deadline.after(30))


def test_over_ssh_a_stale_claim_of_that_host_is_none(lab: Lab, running: subprocess.Popen[bytes]) -> None:
    made(lab, "m")
    claim = json.loads(local.OWNER_FILE.read_text())
    assert held(lab, claim) == str(lab.paths.machine("m"))
    moved_away(lab, "m")
    assert "sleep" in held(lab, claim)
    assert "still runs" in held(lab, claim)
    running.kill()
    running.wait()
    assert held(lab, claim) == ""


@pytest.mark.parametrize("claim", [{}, {"directory": 1}, {"directory": ""}, {"directory": "-x"}])
def test_over_ssh_a_claim_that_cannot_be_read_is_somebodys(lab: Lab, claim: dict[str, Any]) -> None:
    assert held(lab, claim) == "its claim is unreadable"


@pytest.mark.parametrize("text", ["local=", "local=[", "local={}", "local=" + "[" * 5000])
def test_over_ssh_a_torn_claim_is_seen(text: str) -> None:
    facts = ssh_check.parse(f"local_there=yes\n{text}\nuid=x\nfree_kib={'9' * 5000}\nclaim={'[' * 5000}")
    assert (facts.local, facts.uid, facts.free_mib, facts.claim) == ({}, -1, 0, None)
