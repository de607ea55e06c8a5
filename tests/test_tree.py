"""The tree in docs/reference/architecture.md is the real one, and no file outgrows a reader."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

MAX_LINES: Final = 300
CODE: Final = {".py", ".go", ".sh", ".c", ".h", ".cmd", ".yml", ".yaml", ".toml", ""}
NOT_WRITTEN_BY_HAND: Final = re.compile(
    r"^requirements/|^LICENSE$|^tests/golden/|(^|/)testdata/|go\.sum$|\.pb\.go$|_bpfe[lb]\.go$"
)


def tree_of(page: str) -> set[str]:
    """The paths that the page's tree names, folders with a final slash."""
    block = re.search(r"^```text\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert block is not None, "the page shows no tree"
    paths: set[str] = set()
    parent = ""
    for line in block.group(1).splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split(" ")
        if indent == 0:
            parent = names[-1]
        paths |= {(parent if indent else "") + name for name in names}
    return paths


def files_of(root: Path) -> list[str]:
    """Every file that git would keep, committed or not yet, that is there."""
    argv = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return sorted(name for name in listed.split("\0") if name and (root / name).is_file())


def differences(tree: set[str], files: Iterable[str]) -> list[str]:
    """What the tree names and nothing is, and what is there and the tree does not name."""
    real: set[str] = set()
    shown = {path for path in tree if path.count("/") == path.endswith("/")}
    opened = {path for path in shown if any(other.startswith(path) and other != path for other in tree)}
    for name in files:
        top, _, rest = name.partition("/")
        if not rest:
            real.add(top)
            continue
        real.add(top + "/")
        if top + "/" in opened:
            second, _, deeper = rest.partition("/")
            real.add(f"{top}/{second}{'/' if deeper else ''}")
    return [f"{path} is not there" for path in sorted(tree - real)] + [
        f"{path} is not in the tree" for path in sorted(real - tree)
    ]


def too_long(root: Path, files: Iterable[str]) -> list[str]:
    """Code files over MAX_LINES, with their length."""
    long = []
    for name in files:
        if Path(name).suffix not in CODE or NOT_WRITTEN_BY_HAND.search(name):
            continue
        lines = len((root / name).read_bytes().splitlines())
        if lines > MAX_LINES:
            long.append(f"{name}: {lines} lines")
    return long


def test_the_tree_is_the_real_one(repo: Path) -> None:
    tree = tree_of((repo / "docs/reference/architecture.md").read_text(encoding="utf-8"))
    assert differences(tree, files_of(repo)) == []


def test_no_file_is_too_long(repo: Path) -> None:
    assert too_long(repo, files_of(repo)) == []


@pytest.mark.parametrize(
    ("planted", "seen"),
    [
        ("lab/utils/misc.py", "lab/utils/ is not in the tree"),
        ("notes.txt", "notes.txt is not in the tree"),
        ("scripts/run.sh", "scripts/ is not in the tree"),
        ("lab/flows.py", "lab/flows.py is not in the tree"),
    ],
)
def test_the_tree_guard_sees_a_planted_file(repo: Path, planted: str, seen: str) -> None:
    tree = tree_of((repo / "docs/reference/architecture.md").read_text(encoding="utf-8"))
    assert seen in differences(tree, [*files_of(repo), planted])


def test_the_tree_guard_sees_a_missing_room(repo: Path) -> None:
    tree = tree_of((repo / "docs/reference/architecture.md").read_text(encoding="utf-8"))
    left = [name for name in files_of(repo) if not name.startswith("lab/verdict/")]
    assert "lab/verdict/ is not there" in differences(tree, left)


@pytest.mark.parametrize("name", ["lab/long.py", "demo/load/main.go", "labw"])
def test_the_length_guard_sees_a_planted_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("\n" * (MAX_LINES + 1))
    assert too_long(tmp_path, [name]) == [f"{name}: 301 lines"]
    (tmp_path / name).write_text("\n" * MAX_LINES)
    assert too_long(tmp_path, [name]) == []


def test_the_length_guard_reads_the_real_code(repo: Path) -> None:
    files = files_of(repo)
    assert "lab/system/locks.py" in files
    assert "labw" in files


def public_classes(source: str) -> set[str]:
    """The names of a module's own classes that begin without an underscore."""
    found = {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    return {name for name in found if not name.startswith("_")}


def shared_names(sources: Iterable[tuple[str, str]]) -> list[str]:
    """Each class name that two modules have, with these modules. `sources`: (path, text)."""
    where: dict[str, list[str]] = {}
    for path, text in sources:
        for name in public_classes(text):
            where.setdefault(name, []).append(path)
    return [f"{name}: {', '.join(paths)}" for name, paths in sorted(where.items()) if len(paths) > 1]


def test_no_two_classes_share_a_name(repo: Path) -> None:
    paths = sorted((repo / "lab").rglob("*.py"))
    assert shared_names((str(path.relative_to(repo)), path.read_text(encoding="utf-8")) for path in paths) == []


def test_a_shared_name_is_seen() -> None:
    pair = [("lab/a.py", "class Row:\n    pass\n"), ("lab/b.py", "class Row: ...\nclass _Row: ...\n")]
    assert shared_names([*pair, ("lab/c.py", "class _Row: ...\n")]) == ["Row: lab/a.py, lab/b.py"]
