"""Ansible is reported everything and hears nothing of the user's; a machine's answer is read or refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.machines.provisioning import namespaces, playbook
from lab.model.errors import ProvisioningError
from lab.system import resources
from lab.system.proc import Result


def test_the_users_ansible_settings_are_shut_out(tmp_path: Path) -> None:
    base = {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_STRATEGY": "x", "PATH": "/bin", "LC_ALL": "C"}
    given = playbook.environment(tmp_path, base)
    assert given["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert given["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
    assert given["LC_ALL"] == "C.UTF-8"
    assert given["PATH"] == "/bin"
    assert "ANSIBLE_STRATEGY" not in given


def test_a_config_file_in_the_home_or_the_current_folder_is_ignored(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    (home / ".ansible.cfg").write_text("[defaults]\nforks = 77\n")
    (here / "ansible.cfg").write_text("[defaults]\nforks = 78\nhost_key_checking = False\n")
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "ansible.cfg").write_text("[defaults]\n")
    environment = playbook.environment(ours) | {"HOME": str(home)}
    argv = [sys.executable, "-m", "ansible", "config", "dump", "--format", "json"]
    done = subprocess.run(argv, env=environment, cwd=here, capture_output=True, text=True, check=True)
    settings = {entry["name"]: entry["value"] for entry in json.loads(done.stdout) if "name" in entry}
    assert settings["DEFAULT_FORKS"] == 5
    assert settings["HOST_KEY_CHECKING"] is True


def test_findings_carry_each_check() -> None:
    checks = [
        {"name": "btf", "ok": True, "message": "there"},
        {"name": "lockdown", "ok": False, "message": "[integrity]"},
    ]
    good, bad = playbook.parse_verify(json.dumps({"schema": 1, "boot_id": "b", "checks": checks})).findings
    assert (good.name, good.verdict, good.fix) == ("machine.btf", "ok", "")
    assert (bad.name, bad.verdict, bad.message) == ("machine.lockdown", "fail", "[integrity]")
    assert bad.fix


ONE = '{"name": "x", "ok": true, "message": "m"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Traceback (most recent call last)",
        "{}",
        '{"checks": [{"name": "x"}]}',
        "[]",
        "[" * 100_000,
        f'{{"checks": {ONE}, "boot_id": "b"}}',
        f'{{"checks": [{ONE}], "boot_id": 1}}',
        '{"checks": [{"name": "x", "ok": "no", "message": "m"}], "boot_id": "b"}',
    ],
)
def test_an_answer_that_cannot_be_read_is_no_good_news(text: str) -> None:
    with pytest.raises(ProvisioningError, match="cannot read the output of the machine's checks"):
        playbook.parse_verify(text, "python3: not found")


@pytest.mark.parametrize("wrong", ["", "../../etc", "a b", "\\u001b[31m", "x" * 200])
def test_an_id_that_is_none_is_refused_where_it_arrives(wrong: str) -> None:
    for ids in (f'"boot_id": "{wrong}"', f'"boot_id": "b", "image_id": "{wrong or "/"}"'):
        with pytest.raises(ProvisioningError, match=r"the machine reports an invalid (boot|image) id"):
            playbook.parse_verify(f'{{"checks": [{ONE}], {ids}}}')


def test_what_a_check_says_is_one_short_line() -> None:
    said = json.dumps({"name": "kernel", "ok": True, "message": "6.1\n\x1b[31m" + "x" * 100_000})
    (found,) = playbook.parse_verify(f'{{"checks": [{said}], "boot_id": "b"}}').findings
    assert found.message.startswith("6.1")
    assert found.message.isprintable()
    assert len(found.message) <= 1000


def test_the_checks_run_on_any_linux_and_fail_where_it_is_no_lab_machine() -> None:
    script = resources.root() / playbook.VERIFY_SCRIPT
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-", "60"], input=script.read_bytes(), capture_output=True, check=False
    )
    findings = playbook.parse_verify(done.stdout.decode()).findings
    assert {"machine.kernel", "machine.btf", "machine.lockdown", "machine.tools"} <= {one.name for one in findings}
    assert done.returncode == (0 if all(one.verdict == "ok" for one in findings) else 1)
    if Path("/proc/1/comm").read_text().strip() != "systemd":
        assert time.monotonic() - began < 10, "nobody waits for a systemd that is not there"


def test_the_failed_task_is_what_is_told() -> None:
    said = b"PLAY [x]\n\nTASK [y]\nfatal: [m]: FAILED! => {}\n\nPLAY RECAP\n"
    assert playbook.failure(Result(argv=("a",), code=2, stdout=said, stderr=b"")) == "fatal: [m]: FAILED! => {}"


def test_an_enclosed_command_dies_with_its_enclosure() -> None:
    argv = namespaces.enclosed(Path("/tree"), ["ansible-playbook", "x"])
    assert {"--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"} <= set(argv)
    assert argv[-3:] == ["--", "ansible-playbook", "x"]
