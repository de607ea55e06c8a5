"""What the programs that we start get, and where: nothing of the current folder, nothing that is meant for others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.system import environment, proc
from lab.system.wait import Deadline

MEANT_FOR_OTHERS = (
    *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "UV_TARGET", "CONDA_PREFIX"),
    *("GOFLAGS", "GOROOT", "GOENV", "GOWORK", "GODEBUG", "CGO_ENABLED", "ANSIBLE_CONFIG", "OTEL_SERVICE_NAME"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG"),
)
THE_PERSONS = (
    "HTTPS_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_COUNT",
    "NETRC",
)


def run(*argv: str) -> str:
    said = proc.run(argv, deadline=Deadline.after(20))
    assert said.ok, said.tail()
    return said.text()


def test_variables_for_others_do_not_reach_a_program_and_those_of_the_network_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*MEANT_FOR_OTHERS, *THE_PERSONS):
        monkeypatch.setenv(name, "/nowhere")
    given = {line.partition("=")[0] for line in run("env").splitlines()}
    assert given & {*MEANT_FOR_OTHERS, *THE_PERSONS} == set(THE_PERSONS)


@pytest.mark.skipif(sys.platform == "win32", reason="a script of sh")
@pytest.mark.parametrize("path", [".", "", "below"])
def test_a_program_of_the_current_folder_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Whatever a PATH with relative folders says; also for what the program itself starts."""
    for place in (tmp_path, tmp_path / "below"):
        place.mkdir(exist_ok=True)
        for name in ("env", "only-here"):
            (place / name).write_text("#!/bin/sh\necho stranger\n")
            (place / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}:{path}")
    assert "stranger" not in run("env")
    assert "stranger" not in run("sh", "-c", "env")
    assert proc.which("only-here") is None
    with pytest.raises(PreconditionError, match="only-here is not installed"):
        run("only-here")


def test_a_program_starts_in_a_folder_where_nobody_can_leave_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m NAME`, QEMU's firmware and a version manager's file are all looked for where a program starts."""
    for name in ("json", "ensurepip", "pip"):
        (tmp_path / f"{name}.py").write_text("print('stranger')\n")
    monkeypatch.chdir(tmp_path)
    assert run(sys.executable, "-c", "import os; print(os.getcwd())").strip() == str(environment.FOLDER)
    assert "stranger" not in run(sys.executable, "-m", "ensurepip", "--version")
    log = tmp_path / "log"
    proc.spawn_detached([sys.executable, "-c", "import os; print(os.getcwd(), flush=True)"], log=log)
    deadline = Deadline.after(20)
    while not log.read_text() and not deadline.passed():
        deadline.sleep(0.05)
    assert log.read_text().strip() == str(environment.FOLDER)


def test_our_own_python_finds_this_lab_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/__init__.py").write_text("raise SystemExit('stranger')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    argv = [sys.executable, "-m", "lab", "--version"]
    said = proc.run(argv, deadline=Deadline.after(30), cwd=tmp_path)
    assert said.ok, said.tail()
    assert said.text().startswith("lab ")
