"""The ssh provider against a real OpenSSH server: what is refused, who has it, how fast it answers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.machines import keys
from lab.machines.providers.ssh import check as ssh_check
from lab.machines.providers.ssh import provider as ssh
from lab.machines.providers.ssh.provider import SshHandle
from lab.model.errors import ConfigError, LabError, Locked, PreconditionError, ProvisioningError, SecurityStop
from lab.model.lab import Lab
from lab.model.machine import MachineSpec, SshEndpoint
from lab.remote import connect
from lab.system.wait import Deadline
from tests.contract.sshd import Sshd, free_port, own_openssh, running_sshd
from tests.support import Ran, lab_at, run_lab

pytestmark = pytest.mark.contract
SPEC = MachineSpec(name="c", provider="ssh", address="box")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "sshd", elsewhere=True) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PATH", f"{own_openssh(tmp_path / 'bin', server)}{os.pathsep}{os.environ['PATH']}")
    return lab_at(tmp_path / "home")


def create(lab: Lab, spec: MachineSpec = SPEC) -> SshHandle:
    directory = lab.paths.machine(spec.name)
    return ssh.create(lab, spec, keys.seed(directory), directory)


def there(lab: Lab, server: Sshd, *argv: str) -> str:
    """One command on that machine, past the provider."""
    with connect(lab, server.endpoint, Deadline.after(30)) as link:
        return link.run(argv, Deadline.after(30)).text()


def refused(lab: Lab, spec: MachineSpec) -> tuple[LabError, str]:
    """The error of `create` and the one failed finding of `check`."""
    with pytest.raises(LabError) as told:
        create(lab, spec)
    failed = [each for each in ssh.check(lab, spec) if each.verdict == "fail"]
    assert len(failed) == 1
    assert failed[0].fix
    assert told.value.fix == failed[0].fix
    return told.value, failed[0].message


def nothing_was_done(lab: Lab, server: Sshd) -> None:
    assert there(lab, server, "ls", "-A", "/var/lib") == ""
    assert not (lab.paths.machine("c") / ssh.HOST_FILE).exists()


def test_an_unknown_key_stops_before_anything_is_sent(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "bin/known_hosts").write_text("")
    for act in (lambda: ssh.check(lab, SPEC), lambda: create(lab)):
        with pytest.raises(SecurityStop, match="not in known_hosts") as told:
            act()
        assert f"ssh -p {server.endpoint.port} " in told.value.fix
    assert "Accepted publickey" not in server.log_text()


def test_a_changed_key_stops_before_anything_is_sent(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    other = " ".join((tmp_path / "sshd/user.pub").read_text().split()[:2])
    (tmp_path / "bin/known_hosts").write_text(f"[127.0.0.1]:{server.endpoint.port} {other}\n")
    with pytest.raises(SecurityStop, match="does not match known_hosts"):
        create(lab)
    assert "Accepted publickey" not in server.log_text()


def test_a_key_that_changes_later_stops_every_verb(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    handle = create(lab)
    assert handle.endpoint is not None
    host_key = " ".join((tmp_path / "sshd/user.pub").read_text().split()[:2])
    wrong = replace(handle, endpoint=replace(handle.endpoint, host_key=host_key))
    for act in (ssh.inspect, ssh.stop, ssh.delete, ssh.record):
        with pytest.raises(SecurityStop, match="differs from the key pinned"):
            act(lab, wrong)
    ssh.delete(lab, handle)


def test_nobody_answers(lab: Lab, server: Sshd) -> None:
    error, _ = refused(lab, replace(SPEC, address=f"127.0.0.1:{free_port()}"))
    assert isinstance(error, ProvisioningError)
    assert "no SSH server answers" in error.message


def test_a_wrong_user_and_a_wrong_key(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    at = server.endpoint
    error, _ = refused(lab, replace(SPEC, address="nobody@box"))
    assert "refused the login of nobody" in error.message
    assert f"ssh -p {at.port} nobody@127.0.0.1" in error.fix
    error, _ = refused(lab, replace(SPEC, identity=str(tmp_path / "none")))
    assert "does not exist" in error.message
    (tmp_path / "text").write_text("no key\n")
    error, _ = refused(lab, replace(SPEC, identity=str(tmp_path / "text")))
    assert "not a usable private key" in error.message
    error, _ = refused(lab, replace(SPEC, identity=str(_locked(tmp_path))))
    assert "passphrase" in error.message
    assert "ssh-add" in error.fix
    nothing_was_done(lab, server)


def _locked(tmp_path: Path) -> Path:
    import subprocess

    path = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
    return path


def test_another_architecture(lab: Lab, server: Sshd) -> None:
    other = replace(SPEC, arch="aarch64" if SPEC.arch == "x86_64" else "x86_64")
    error, _ = refused(lab, other)
    assert isinstance(error, PreconditionError)
    assert error.fix == f"--arch {SPEC.arch}"
    nothing_was_done(lab, server)


def test_no_address(lab: Lab) -> None:
    error, message = refused(lab, replace(SPEC, address=""))
    assert isinstance(error, ConfigError)
    assert "needs an address" in message


def test_a_read_only_disk(lab: Lab, server: Sshd) -> None:
    there(lab, server, "mount", "-o", "remount,ro", "/var/lib")
    error, _ = refused(lab, SPEC)
    assert "read-only" in error.message
    there(lab, server, "mount", "-o", "remount,rw", "/var/lib")
    nothing_was_done(lab, server)


def test_a_folder_that_is_not_ours_is_left_alone(lab: Lab, server: Sshd) -> None:
    there(lab, server, "mkdir", "/var/lib/lab")
    there(lab, server, "touch", "/var/lib/lab/thesis")
    with pytest.raises(ProvisioningError, match="is not lab's"):
        create(lab)
    ssh.delete(lab, ssh.recover(keys.seed(lab.paths.machine("c")), "c", lab.paths.machine("c")))
    assert there(lab, server, "ls", "/var/lib/lab") == "thesis\n"


def test_one_lab_a_machine(lab: Lab, server: Sshd) -> None:
    handle = create(lab)
    second = replace(SPEC, name="d")
    with pytest.raises(Locked, match=r"already claimed by .*\(c in ") as told:
        create(lab, second)
    assert f"lab down c --home {lab.paths.home}" in told.value.fix
    assert told.value.exit_code == 8
    holder = next(each for each in ssh.check(lab, second) if each.name == "ssh.claim")
    assert holder.verdict == "warn"
    # whoever lost takes nothing away
    ssh.delete(lab, ssh.recover(keys.seed(lab.paths.machine("d")), "d", lab.paths.machine("d")))
    assert ssh.inspect(lab, handle).alive
    ssh.delete(lab, handle)
    nothing_was_done(lab, server)
    ssh.delete(lab, create(lab, second))


def test_a_killed_create_is_found_again(lab: Lab, server: Sshd) -> None:
    """Between what is written here and the claim there, and after it: the same command goes on, `delete` cleans up."""
    handle = create(lab)
    directory = lab.paths.machine("c")
    again = ssh.recover(keys.seed(directory), "c", directory)
    assert again == handle
    assert create(lab) == handle
    there(lab, server, "rm", "-r", ssh_check.WORK)
    assert ssh.inspect(lab, again).phase == "absent"
    assert create(lab) == handle
    there(lab, server, "mv", ssh_check.WORK, f"{ssh_check.WORK}.gone")  # a killed delete
    ssh.delete(lab, again)
    nothing_was_done(lab, server)


def test_a_machine_that_is_away_is_not_forgotten(lab: Lab, server: Sshd) -> None:
    handle = create(lab)
    assert handle.endpoint is not None
    away = replace(handle, endpoint=replace(handle.endpoint, port=free_port()))
    assert ssh.inspect(lab, away).phase == "unknown"
    with pytest.raises(ProvisioningError, match="cannot restore the machine") as told:
        ssh.delete(lab, away)
    assert "lab down c again" in told.value.fix
    assert (lab.paths.machine("c") / ssh.HOST_FILE).exists()
    ssh.delete(lab, handle)


def test_the_verbs_by_hand(lab: Lab, server: Sshd, tmp_path: Path) -> None:
    """As people use it. The times are printed; the bounds are far above, for hosts that do other things as well."""

    def run(*argv: str) -> tuple[Ran, float]:
        began = time.monotonic()
        ran = run_lab(*argv, home=tmp_path / "home", limit_s=60)
        return ran, time.monotonic() - began

    up = ("up", "c", "--provider", "ssh", "--address", "box")
    ran, _ = run(*up)
    assert ran.code == 0, ran.stderr
    ran, again_s = run(*up)
    assert (ran.code, "already" in ran.stderr) == (0, True)
    ran, exec_s = run("exec", "--name", "c", "--", "true")
    assert ran.code == 0
    print(f"second up {again_s:.2f} s, exec {exec_s:.2f} s")
    assert max(again_s, exec_s) < 10
    ran, _ = run("status", "c", "--json")
    assert json.loads(ran.stdout)["machines"][0]["phase"] == "running"
    ran, _ = run("exec", "--name", "c", "--", "cat", ssh_check.WORK + "/claim.json")
    assert json.loads(ran.stdout)["name"] == "c"
    ran, _ = run("down", "c")
    assert ran.code == 0
    nothing_was_done(lab, server)


def test_the_users_own_agent_is_enough(lab: Lab, server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key file is named anywhere: the agent has it."""
    import subprocess

    socket = tmp_path / "a.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as agent:
        try:
            ends = time.monotonic() + 10
            while not socket.exists() and time.monotonic() < ends:
                time.sleep(0.05)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            key = str(tmp_path / "sshd/user")
            subprocess.run(["ssh-add", "-q", key], check=True)
            config = tmp_path / "bin/config"
            config.write_text(config.read_text().replace(f"  IdentityFile {key}\n", ""))
            handle = create(lab)
            endpoint = ssh.start(lab, handle)
            assert isinstance(endpoint, SshEndpoint)
            assert endpoint.identity_file is None
            ssh.delete(lab, handle)
        finally:
            agent.terminate()
