"""Ansible over SSH against a real server: the pinned key decides, wherever the home is and whoever was there before."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lab.machines import keys
from lab.machines.provisioning import playbook
from lab.model.errors import ProvisioningError
from lab.model.lab import Lab
from lab.system.wait import Deadline
from tests.contract.sshd import Sshd, running_sshd
from tests.support import lab_at

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]
PLAY = '[{"hosts": "all", "gather_facts": false, "tasks": [{"raw": "true"}]}]'


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A playbook that changes nothing, in place of ours: this host is the one that answers."""
    path = tmp_path / "raw.yml"
    path.write_text(PLAY)

    def argv(_: object, variables: dict[str, object]) -> list[str]:
        return [sys.executable, "-m", "ansible", "playbook", "--extra-vars", json.dumps(variables), str(path)]

    monkeypatch.setattr(playbook, "_playbook", argv)


def play(lab: Lab, server: Sshd, *, host_key: str = "") -> None:
    folder = lab.paths.machine("m")
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = replace(server.endpoint, host_key=host_key or server.endpoint.host_key)
    keys.write_access(folder, "m", endpoint)
    lab.paths.logs.mkdir(parents=True, exist_ok=True)
    log, deadline = lab.paths.logs / "playbook.log", Deadline.after(60)
    playbook.apply_over_ssh(lab, endpoint, folder / "known_hosts", tags=["image"], log=log, deadline=deadline)


def masters() -> list[str]:
    """Connections that are kept open for later callers, as OpenSSH names such a process."""
    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if line.startswith("ssh: ") and "[mux]" in line]


@pytest.mark.usefixtures("raw")
def test_a_home_like_a_macs_and_a_pinned_key_that_is_never_passed_by(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "Application Support" / "100% lab's")
    before = masters()
    with running_sshd(tmp_path / "first") as first, running_sshd(tmp_path / "second") as second:
        play(lab, first)
        with pytest.raises(ProvisioningError):  # at once, where a shared connection would still be open
            play(lab, first, host_key=second.endpoint.host_key)
        assert set(masters()) <= set(before)
