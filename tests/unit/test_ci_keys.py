"""What .ci/demo keeps between jobs: of the very demo that it runs, and nothing is lost when that cannot be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from lab.cli.app import build
from lab.stage.show import show_file
from tests.unit.test_ci import demo, demo_checkout

# writes each word of `cache keys` on a line of its own
SPELLED: Final = """#!/bin/sh
case "$1 $2" in "cache keys") shift 2; for word; do echo "$word"; done >words; exit {code} ;; esac
exec ./labw-as-ever "$@"
"""


def checkout(at: Path, repo: Path, *, code: int = 0) -> Path:
    demo_checkout(at, repo)
    (at / "labw").rename(at / "labw-as-ever")
    (at / "labw").write_text(SPELLED.format(code=code))
    (at / "labw").chmod(0o755)
    return at


def words(at: Path) -> list[str]:
    return (at / "words").read_text().splitlines()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["my/scenario.yaml", "--form", "a"], ["--scenario", "my/scenario.yaml", "--form", "a"]),
        (
            ["--profile", "quick", "--no-host-changes", "-v", "--seed=7", "my.yaml", "--arch=x"],
            ["--scenario", "my.yaml", "--arch=x"],
        ),
        (["--service", "my own folder", "--provider", "qemu"], ["--service", "my own folder", "--provider", "qemu"]),
        (["--service=my own folder"], ["--service=my own folder"]),
        (["--source=own.qcow2", "--digest", "sha256:aa"], ["--source=own.qcow2", "--digest", "sha256:aa"]),
        ([], []),
    ],
)
def test_the_keys_are_of_the_demo_that_runs(tmp_path: Path, repo: Path, given: list[str], asked: list[str]) -> None:
    at = checkout(tmp_path, repo)
    demo(at, "--keys", *given)
    assert sorted(words(at)) == sorted([*asked, "--json"])


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["my/show.yaml", "-n", "1", "--keys"], ["--show", "my/show.yaml"]),
        (["-n", "1", "--arch", "x"], ["--show", show_file.DEFAULT, "--arch", "x"]),
    ],
)
def test_the_keys_are_of_the_show_that_is_rehearsed(
    tmp_path: Path, repo: Path, given: list[str], asked: list[str]
) -> None:
    at = checkout(tmp_path, repo)
    demo(at, "--keys", "--show", *given)
    assert sorted(words(at)) == sorted([*asked, "--json"])


def test_keys_that_cannot_be_told_lose_nothing_that_was_kept(tmp_path: Path, repo: Path) -> None:
    keep = tmp_path / "keep"
    for kept in ("images/i1", "artifacts/a1", "artifacts/a2"):
        (keep / "cache" / kept).mkdir(parents=True)
    code, _, told, asked = demo(checkout(tmp_path, repo, code=75), "--form", "a", keep=keep)
    assert code == 0, "the demo says itself what it lacks"
    assert [line for line in asked if line.startswith("labw demo")]
    assert "nothing is restored or kept" in told
    assert sorted(path.name for path in keep.glob("cache/*/*")) == ["a1", "a2", "i1"]


def test_keys_that_cannot_be_told_are_no_empty_key(tmp_path: Path, repo: Path) -> None:
    code, said, _, _ = demo(checkout(tmp_path, repo, code=75), "--keys")
    assert (code, said) == (75, "")


@pytest.mark.parametrize("verb", ["demo", "rehearse"])
def test_the_script_knows_which_options_take_no_value(repo: Path, verb: str) -> None:
    """The word behind any other one is its value, not a scenario or a show."""
    text = (repo / ".ci/demo").read_text(encoding="utf-8")
    known = {word for listed in re.findall(r"^alone=['\"](.*?) ['\"]$", text, re.MULTILINE) for word in listed.split()}
    known = {word.removeprefix("$alone") for word in known}
    command: Any = typer.main.get_command(build([verb, "--help"]))
    flags = {
        word
        for option in command.commands[verb].params
        if getattr(option, "is_flag", False)
        for word in (*option.opts, *option.secondary_opts)
    }
    assert flags <= known
