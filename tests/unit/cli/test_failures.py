"""How a command ends that failed: exit code, message, and the last line that programs wait for."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.model.errors import DemoError, PreconditionError, raise_all
from tests.unit.cli.conftest import Cli

QEMU = PreconditionError("QEMU is not installed", fix="lab doctor --install")
MEMORY = PreconditionError("memory: 100 MiB available", fix="stop other programs")
BUILD = DemoError("go build failed with exit code 1", fix="free space")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/me/disk.part")
BOTH = "several at once"
Fail = Callable[..., None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Let `lab runs` fail with these errors."""

    def prepare(*errors: BaseException) -> None:
        def refuse(_: object) -> None:
            raise_all(errors, BOTH)

        monkeypatch.setattr("lab.flows.report.complete", refuse)

    return prepare


def result(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)["result"]
    return found


def test_a_disk_that_fills_up_beside_another_failure_is_no_bug(lab_cli: Cli, fail: Fail) -> None:
    fail(FULL, BaseExceptionGroup("inner", [BUILD]))
    done = lab_cli("runs")
    assert (done.code, "bug" in done.stderr) == (4, False)
    assert f"/home/me/disk.part: {FULL.strerror}" in done.stderr
    assert BUILD.message in done.stderr


def test_a_bug_beside_another_failure_stays_a_bug(lab_cli: Cli, fail: Fail) -> None:
    fail(BUILD, KeyError("what"))
    assert lab_cli("runs").code == 1


def test_json_has_every_error_of_several(lab_cli: Cli, fail: Fail) -> None:
    fail(QEMU, MEMORY, FULL)
    said = result(lab_cli("runs", "--json").stdout)
    first, second = ({"message": each.message, "fix": each.fix} for each in (QEMU, MEMORY))
    assert (said["command"], said["exit"], said["error"]) == ("runs", 4, first)
    assert said["errors"][:2] == [first, second]
    assert said["errors"][2]["message"] == f"/home/me/disk.part: {FULL.strerror}"
    assert "lab cache prune" in said["errors"][2]["fix"]


def test_json_has_the_fix_of_a_failure_of_this_host(lab_cli: Cli, fail: Fail) -> None:
    fail(FULL)
    assert "lab cache prune" in result(lab_cli("runs", "--json").stdout)["error"]["fix"]


@pytest.mark.parametrize(
    ("words", "says", "fix"),
    [
        ("up --json --cpus 0", "Invalid value for '--cpus'", "lab up --help"),
        ("up --json --nosuch", "No such option: --nosuch", "lab up --help"),
        ("nosuch --json", "No such command 'nosuch'", "lab --help"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_a_line_too(lab_cli: Cli, words: str, says: str, fix: str) -> None:
    done = lab_cli(*words.split())
    said = result(done.stdout)
    assert (done.code, said["exit"]) == (2, 2)
    assert says in said["error"]["message"]
    assert said["error"]["fix"] == fix
    assert "Usage: lab" in done.stderr


@pytest.mark.parametrize("words", ["cache keys --provider virtualbox", "cache keys --provider qemu --arch sparc"])
def test_a_provider_that_does_not_exist_is_a_mistake_everywhere(
    lab_cli: Cli, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("lab.machines.images.golden.go_root", lambda _: Path("/usr/local/go"))
    done = lab_cli(*words.split())
    assert (done.code in {2, 3}, "bug" in done.stderr) == (True, False), done.stderr


@pytest.mark.parametrize("words", ["up --help --json", "down nosuch --json"])
def test_no_line_is_written_twice(lab_cli: Cli, words: str) -> None:
    assert lab_cli(*words.split()).stdout.count('{"result"') <= 1


def test_an_option_of_the_command_in_the_machine_is_not_ours(lab_cli: Cli) -> None:
    done = lab_cli("exec", "--name", "nosuch", "--", "mytool", "--json")
    assert (done.code != 0, done.stdout) == (True, "")
