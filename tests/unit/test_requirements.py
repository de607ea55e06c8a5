"""The locks fit pyproject.toml on every supported Python and system, and name no address."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS: Final = (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt"))
LOCKS: Final = ("run.txt", "dev.txt", "uv.txt")


def pins(lock: str) -> list[Requirement]:
    """The pinned requirements of a lock, with their markers."""
    lines = [line for line in lock.replace("\\\n", "").splitlines() if line and not line.lstrip().startswith("#")]
    return [Requirement(line.partition("--hash")[0].strip()) for line in lines]


def environment(python: str, system: tuple[str, str, str]) -> dict[str, str]:
    """A marker environment as pip would see it there."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.4",
        "sys_platform": system[0],
        "platform_system": system[1],
        "os_name": system[2],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def out_of_step(wanted: list[Requirement], lock: str, where: dict[str, str]) -> list[str]:
    """The requirements that hold in `where` and have not exactly one fitting pin there."""
    wrong = []
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate(where):
            continue
        fitting = [
            pin
            for pin in pins(lock)
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
            and (pin.marker is None or pin.marker.evaluate(where))
            and requirement.specifier.contains(next(iter(pin.specifier)).version, prereleases=True)
        ]
        if len(fitting) != 1:
            wrong.append(str(requirement))
    return wrong


def declared(repo: Path, lock: str) -> list[Requirement]:
    project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))
    texts = project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if lock == "dev.txt" else [])
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
@pytest.mark.parametrize(("python", "system"), list(itertools.product(PYTHONS, SYSTEMS)), ids=str)
def test_the_locks_fit_the_project(repo: Path, lock: str, python: str, system: tuple[str, str, str]) -> None:
    text = (repo / "requirements" / lock).read_text(encoding="utf-8")
    assert out_of_step(declared(repo, lock), text, environment(python, system)) == []


def test_a_dependency_without_a_pin_is_seen(repo: Path) -> None:
    text = (repo / "requirements/run.txt").read_text(encoding="utf-8")
    wanted = [Requirement("scipy"), Requirement("typer>=999"), Requirement("typer")]
    assert out_of_step(wanted, text, environment("3.13", SYSTEMS[0])) == ["scipy", "typer>=999"]


def test_dev_installs_what_run_installs(repo: Path) -> None:
    """Tests see the very versions that users get."""
    run, dev = (
        set(map(str, pins((repo / "requirements" / name).read_text(encoding="utf-8"))))
        for name in ("run.txt", "dev.txt")
    )
    # packaging is needed on Windows by the development tools alone, so its marker differs
    assert {text.partition(";")[0] for text in run} <= {text.partition(";")[0] for text in dev}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes_and_no_address(repo: Path, lock: str) -> None:
    text = (repo / "requirements" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links|--trusted-host)", text, re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_ansible_is_the_one_with_security_support_for_each_python(repo: Path) -> None:
    text = (repo / "requirements/run.txt").read_text(encoding="utf-8")
    for python, release in (("3.11", "2.19."), ("3.12", "2.21."), ("3.14", "2.21.")):
        where = environment(python, SYSTEMS[0])
        held = [
            pin for pin in pins(text) if pin.name == "ansible-core" and (not pin.marker or pin.marker.evaluate(where))
        ]
        assert [next(iter(pin.specifier)).version.startswith(release) for pin in held] == [True]
    windows = environment("3.13", SYSTEMS[2])
    assert [
        pin for pin in pins(text) if pin.name == "ansible-core" and pin.marker and pin.marker.evaluate(windows)
    ] == []


@pytest.mark.parametrize("script", ["labw", "labw.cmd", ".ci/run", ".ci/demo"])
def test_the_bootstrap_names_no_address(repo: Path, script: str) -> None:
    """Indexes come from the machine's settings; `://` alone may appear as a pattern."""
    assert not re.search(r"https?://\w", (repo / script).read_text(encoding="utf-8"))
