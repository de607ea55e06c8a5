"""The playbook's own plug-ins under a real ansible-playbook, on a folder of this host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.machines.provisioning import playbook
from lab.system import resources

pytestmark = pytest.mark.contract


def play(tmp_path: Path, *tasks: dict[str, Any], check: bool = False) -> tuple[int, dict[str, Any]]:
    """Run tasks on this host; returns the exit code and what was counted for it."""
    home = tmp_path / "ansible"
    home.mkdir(exist_ok=True)
    (home / "ansible.cfg").write_text("[defaults]\n")
    book = tmp_path / "play.yml"
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
    environment = playbook.environment(home) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    argv = [sys.executable, "-m", "ansible", "playbook", "--connection", "local", "--inventory", "here,"]
    argv += ["--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable})]
    argv += [*(["--check"] if check else []), str(book)]
    done = subprocess.run(argv, env=environment, cwd=home, capture_output=True, text=True, check=False)
    recap = [line for line in done.stdout.splitlines() if line.startswith("here ")]
    counts = dict(word.split("=") for word in recap[0].split() if "=" in word) if recap else {}
    return done.returncode, {name: int(count) for name, count in counts.items()} | {"said": done.stdout}


def test_a_tree_is_laid_once_and_repaired(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "etc").mkdir(parents=True)
    (source / "etc/setting").write_text("value = 1\n")
    (source / "etc/program").write_text("#!/bin/sh\n")
    (target / "old/deep").mkdir(parents=True)
    (target / "masked").mkdir()
    task = {
        "tree": {
            "extra": {f"{target}/etc/{path.name}": str(path) for path in (source / "etc").iterdir()},
            "text": {f"{target}/id": "{{ 'forty' }}-two\n"},
            "links": {f"{target}/link": "/elsewhere"},
            "masks": [f"{target}/masked"],
            "absent": [f"{target}/old"],
        }
    }
    code, counts = play(tmp_path, task, check=True)
    assert (code, counts["changed"]) == (0, 1), counts["said"]
    assert (target / "old").exists(), "a dry run changed something"
    code, counts = play(tmp_path, task)
    assert (code, counts["changed"]) == (0, 1), counts["said"]
    assert (target / "etc/setting").read_text() == "value = 1\n"
    assert (target / "etc/setting").stat().st_mode & 0o777 == 0o644
    assert (target / "etc/program").stat().st_mode & 0o777 == 0o755
    assert (target / "id").read_text() == "forty-two\n"
    assert (target / "link").readlink() == Path("/elsewhere")
    assert (target / "masked").readlink() == Path("/dev/null")
    assert not (target / "old").exists()
    code, counts = play(tmp_path, task)
    assert (code, counts["changed"]) == (0, 0), counts["said"]
    (target / "etc/setting").write_text("value = 2\n")
    (target / "link").unlink()
    code, counts = play(tmp_path, task)
    assert (code, counts["changed"]) == (0, 1), counts["said"]
    assert (target / "etc/setting").read_text() == "value = 1\n"
    assert not [path for path in target.rglob("*") if path.name.endswith(".lab-new")]


@pytest.mark.parametrize(
    ("options", "cause"),
    [({"form": "tree"}, "tree has no option form"), ({"text": {"etc/relative": "x"}}, "not absolute: etc/relative")],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: dict[str, Any], cause: str) -> None:
    code, counts = play(tmp_path, {"tree": options})
    assert code != 0
    assert cause in counts["said"]


def test_a_tree_without_a_shell_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test needs root, as making an image does")
    code, counts = play(
        tmp_path,
        {
            "ansible.builtin.command": {"argv": ["true"]},
            "vars": {"ansible_connection": "tree_chroot", "ansible_host": str(tmp_path)},
        },
    )
    assert code != 0
    assert "is not a Linux tree" in counts["said"]


def test_every_task_has_one_of_the_three_tags() -> None:
    for path in sorted((resources.root() / "playbooks/roles").glob("*/tasks/*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            assert task["tags"] in (["image"], ["runtime"], ["verify"]), f"{path.parent.parent.name}: {task['name']}"
