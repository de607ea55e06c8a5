"""Linters are tests, and each is shown to notice a planted fault."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support import pinned_go, python_39

BIN: Final = Path(sys.executable).parent
RUFF: Final = (str(BIN / "ruff"), "check", "--no-cache", "--output-format=concise", ".")
FORMAT: Final = (str(BIN / "ruff"), "format", "--no-cache", "--check", ".")
# without a cache: another mypy on this checkout at the same time leaves one that tells of things long gone
MYPY: Final = (sys.executable, "-m", "mypy", f"--cache-dir={os.devnull}")
# What runs in the machine runs on Linux alone; all else must be right where a host is none. A branch that only another
# system takes is no mistake there.
ELSEWHERE: Final = {
    system: (*MYPY, "--platform", system, "--no-warn-unreachable", "--exclude", "^lab/guest/|guest_claim", "lab")
    for system in ("win32", "darwin")
}
IMPORTS: Final = (str(BIN / "lint-imports"), "--no-cache")

# What the guest's pure modules may use: anything else could reach out of the process.
PURE: Final = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "enum", "fnmatch", "functools", "hashlib", "heapq",
    "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "textwrap", "types", "typing",
    "urllib.parse",
}  # fmt: skip
PURE_ROOMS: Final = ("wire", "scoring")
ALONE: Final = "lab/machines/providers/ssh/guest_claim.py"  # runs on machines of others, by its text


def lint(argv: tuple[str, ...], where: Path) -> subprocess.CompletedProcess[str]:
    """Run a linter in `where`; its output is both streams."""
    return subprocess.run(
        argv,
        cwd=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("argv", [RUFF, FORMAT, MYPY, IMPORTS], ids=["ruff", "format", "mypy", "imports"])
def test_the_code_is_clean(repo: Path, argv: tuple[str, ...]) -> None:
    ended = lint(argv, repo)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("system", ELSEWHERE)
def test_the_host_half_is_clean_on_other_systems(repo: Path, system: str) -> None:
    ended = lint(ELSEWHERE[system], repo)
    assert ended.returncode == 0, ended.stdout


@pytest.fixture
def planted(tmp_path: Path, repo: Path) -> Path:
    """A copy of the code in which a fault can be planted."""
    shutil.copy(repo / "pyproject.toml", tmp_path)
    shutil.copytree(repo / "lab", tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__", "_data"))
    return tmp_path


def plant(root: Path, name: str, text: str) -> None:
    """Write a file, with the packages on its way."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "owner", "seen"),
    [
        (
            "lab/flows/x.py",
            "import subprocess\n",
            "lab/system/proc.py",
            "TID251 `subprocess` is banned: lab/system/proc.py",
        ),
        ("lab/flows/x.py", "from os import popen\n", "lab/system/proc.py", "TID251 `os.popen` is banned"),
        ("lab/runs/x.py", "import time\n\ntime.sleep(1)\n", "lab/system/wait.py", "TID251 `time.sleep` is banned"),
        ("lab/remote/x.py", "import fabric\n", "lab/remote/ssh.py", "TID251 `fabric` is banned: lab/remote/ssh.py"),
        ("lab/flows/x.py", "from paramiko import SSHClient\n", "lab/remote/ssh.py", "TID251 `paramiko` is banned"),
        ("lab/model/x.py", "print()\n", "lab/cli/x.py", "T201 `print` found"),
        ("lab/guest/cells.py", "print()\n", "lab/guest/__main__.py", "T201 `print` found"),
    ],
)
def test_ruff_sees_an_effect_outside_its_owner(
    tmp_path: Path, repo: Path, name: str, text: str, owner: str, seen: str
) -> None:
    shutil.copy(repo / "pyproject.toml", tmp_path)
    plant(tmp_path, name, text)
    plant(tmp_path, owner, text)
    said = lint(RUFF, tmp_path).stdout
    rule = seen.partition(" ")[0]
    assert any(line.startswith(f"{name}:") and seen in line for line in said.splitlines()), said
    assert not any(line.startswith(f"{owner}:") and f" {rule} " in line for line in said.splitlines()), said


def test_format_sees_a_planted_fault(tmp_path: Path, repo: Path) -> None:
    shutil.copy(repo / "pyproject.toml", tmp_path)
    plant(tmp_path, "lab/x.py", "x = {  'a':1 }\n")
    assert lint(FORMAT, tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("def f(x):\n    return x\n", "[no-untyped-def]"),
        ("x: int = ''\n", "[assignment]"),
        ("x: int = ''  # type: ignore\n", "[ignore-without-code]"),
        ("x: int = 1  # type: ignore[assignment]\n", "unused-ignore"),
        ("def f(x: list) -> None: ...\n", "[type-arg]"),
    ],
)
def test_mypy_sees_a_planted_fault(tmp_path: Path, repo: Path, text: str, seen: str) -> None:
    shutil.copy(repo / "pyproject.toml", tmp_path)
    plant(tmp_path, "lab/x.py", text)
    said = lint((*MYPY, "lab/x.py"), tmp_path).stdout
    assert seen in said, said


@pytest.mark.parametrize("room", ["lab/report", "lab/verdict"])
def test_mypy_sees_a_loose_dictionary_between_verdict_and_report(tmp_path: Path, repo: Path, room: str) -> None:
    shutil.copy(repo / "pyproject.toml", tmp_path)
    plant(tmp_path, f"{room}/x.py", "from typing import Any\n\n\ndef f(summary: dict[str, Any]) -> None: ...\n")
    said = lint((*MYPY, f"{room}/x.py"), tmp_path).stdout
    assert "[explicit-any]" in said, said


@pytest.mark.parametrize(
    ("name", "text", "broken"),
    [
        ("lab/runs/x.py", "import lab.flows\n", "imports go down only"),
        ("lab/runs/x.py", "import lab.verdict\n", "imports go down only"),
        ("lab/guest/x.py", "import lab.model\n", "imports go down only"),
        ("lab/misc/__init__.py", "", "imports go down only"),
        ("lab/render/x.py", "import lab.system.proc\n", "render draws events"),
        ("lab/flows/x.py", "import lab.render\n", "only cli draws"),
        ("lab/flows/x.py", "import rich\n", "only cli draws"),
        ("lab/verdict/x.py", "import lab.system.store\n", "verdict and report are pure"),
        ("lab/report/x.py", "import subprocess\n", "verdict and report are pure"),
        ("lab/report/x.py", "from socket import socket\n", "verdict and report are pure"),
        ("lab/flows/x.py", "import lab.guest.x\n", "the host knows the guest half"),
        ("lab/model/x.py", "import lab.guest.x\n", "the host knows the guest half"),
        ("lab/machines/providers/qemu/x.py", "from lab.machines.providers import local\n", "providers do not know"),
        ("lab/machines/providers/ssh/x.py", "import lab.machines.providers.aws.api\n", "providers do not know"),
        ("lab/machines/vm/x.py", "import lab.machines.images.image\n", "machines: rooms import downwards"),
        ("lab/guest/linux/x.py", "import lab.guest.run.life\n", "the guest half: live on running"),
        ("lab/guest/scoring/x.py", "import lab.guest.linux.procfs\n", "the guest half: live on running"),
        ("lab/guest/run/x.py", "import lab.guest.live.orders\n", "the guest half: live on running"),
        ("lab/verdict/cells/x.py", "import lab.verdict.compare\n", "verdict: what cells say"),
        ("lab/verdict/x.py", "", "verdict: what cells say"),  # a new room says where it stands
    ],
)
def test_the_layers_see_a_planted_import(planted: Path, name: str, text: str, broken: str) -> None:
    plant(planted, "lab/guest/x.py", "")
    plant(planted, name, text)
    ended = lint(IMPORTS, planted)
    assert ended.returncode == 1, ended.stdout
    assert any(broken in line and " BROKEN" in line for line in ended.stdout.splitlines()), ended.stdout


def test_every_provider_is_in_the_contract_that_keeps_them_apart(repo: Path) -> None:
    contracts = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (named,) = (contract["modules"] for contract in contracts if contract["type"] == "independence")
    packages = (repo / "lab/machines/providers").glob("*/__init__.py")
    assert set(named) == {f"lab.machines.providers.{path.parent.name}" for path in packages}


# --- the guest half: Debian 11's Python, standard library only ------------------------------------------------------


def foreign_imports(path: Path, allowed: frozenset[str] | set[str]) -> list[str]:
    """Modules that `path` imports and that are neither `allowed` (top-level names) nor the guest's own."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [] if node.level else [node.module or ""]
        else:
            continue
        own = [name for name in names if name.startswith("lab.guest") or allowed & {name, name.partition(".")[0]}]
        found += [name for name in names if name not in own]
    return found


def guest_files(repo: Path) -> list[Path]:
    files = sorted((repo / "lab" / "guest").rglob("*.py"))
    assert files
    return [*files, repo / ALONE]


def old_syntax_faults(path: Path) -> str:
    """Why Python 3.9 would not parse `path`; empty when it would."""
    try:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    except SyntaxError as error:
        return str(error)
    return ""


def test_the_guest_half_needs_the_standard_library_alone(repo: Path) -> None:
    assert {
        str(path): foreign for path in guest_files(repo) if (foreign := foreign_imports(path, sys.stdlib_module_names))
    } == {}


def test_the_guests_pure_modules_are_pure(repo: Path) -> None:
    pure = [path for path in guest_files(repo) if path.parent.name in PURE_ROOMS]
    assert pure
    assert {str(path): foreign for path in pure if (foreign := foreign_imports(path, PURE))} == {}


def test_python_39_parses_the_guest_half(repo: Path) -> None:
    assert {str(path): fault for path in guest_files(repo) if (fault := old_syntax_faults(path))} == {}


def test_the_guest_guards_see_planted_faults(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import os\nimport yaml\nfrom lab.model import paths\nimport lab.guest.wire\nfrom .wire import x\n")
    assert foreign_imports(path, sys.stdlib_module_names) == ["yaml", "lab.model"]
    assert foreign_imports(path, PURE) == ["os", "yaml", "lab.model"]
    path.write_text("match 1:\n    case 1:\n        pass\n")
    assert "3.10" in old_syntax_faults(path)


def test_a_real_python_39_imports_the_guest_half(repo: Path) -> None:
    *inside, alone = guest_files(repo)
    names = [
        ".".join(path.relative_to(repo).with_suffix("").parts).removesuffix(".__init__")
        for path in inside
        if path.name != "__main__.py"
    ]
    program = (
        "import importlib, runpy, sys\nrunpy.run_path(sys.argv[1])\n"
        "for name in sys.argv[2:]: importlib.import_module(name)"
    )
    # -S: no site-packages; -W error: nothing deprecated
    argv = [python_39(), "-S", "-B", "-W", "error", "-c", program, str(alone), *names]
    ended = subprocess.run(argv, cwd=repo, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# --- other languages ------------------------------------------------------------------------------------------------


def test_shell_parses(repo: Path) -> None:
    for script, shell in (("labw", "sh"), (".ci/run", "bash"), (".ci/demo", "sh")):
        ended = lint((shell, "-n", script), repo)
        assert ended.returncode == 0, ended.stdout


def test_go_is_formatted(repo: Path) -> None:
    gofmt = shutil.which("gofmt") or str(Path(pinned_go().go).with_name("gofmt"))
    ended = lint((gofmt, "-l", "demo", "lab", "playbooks"), repo)
    assert (ended.returncode, ended.stdout) == (0, "")
