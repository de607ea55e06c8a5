"""Messages and docs are plain English: words that this house once used instead of the field's own stay out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

BANNED: Final = {
    "anew": "again",
    "the same command": "run the command again",
    "mend": "fix",
    "is told": "is reported",
    "are told": "are reported",
    "met as a bug": "reported with its place",
}
FOUND: Final = re.compile(r"\b(" + "|".join(map(re.escape, BANNED)) + r")\b", re.IGNORECASE)


def banned(name: str, text: str) -> list[str]:
    """Each banned word in `text`, with its line and what to say instead."""
    lines = text.splitlines()
    return [
        f"{name}:{row}: {match[1]} (say: {BANNED[match[1].lower()]})"
        for row, line in enumerate(lines, start=1)
        for match in FOUND.finditer(line)
    ]


def strings(source: str) -> str:
    """The texts of a program, each on its own line number: messages and docstrings, no names, no comments."""
    lines = [""] * (source.count("\n") + 2)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines[node.lineno - 1] += " " + node.value.replace("\n", " ")
    return "\n".join(lines)


def documents(repo: Path) -> Iterator[tuple[str, str]]:
    yield "README.md", (repo / "README.md").read_text(encoding="utf-8")
    for path in sorted((repo / "docs").rglob("*.md")):
        if path.parent.name != "adr":  # decisions stay as they were written
            yield path.relative_to(repo).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((repo / "lab").rglob("*.py")):
        yield path.relative_to(repo).as_posix(), strings(path.read_text(encoding="utf-8"))


def test_messages_docstrings_and_docs_are_plain(repo: Path) -> None:
    assert [found for name, text in documents(repo) for found in banned(name, text)] == []


@pytest.mark.parametrize(
    "source",
    [
        'raise LabError("no", fix="the same command again")\n',
        'def f():\n    """Read anew."""\n',
        'x = f"it {y} is told"\n',
    ],
)
def test_a_planted_word_is_seen(source: str) -> None:
    assert len(banned("x.py", strings(source))) == 1


def test_a_comment_and_a_name_are_not_texts() -> None:
    assert banned("x.py", strings("anew = 1  # is told\n")) == []
