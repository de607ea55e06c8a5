"""Messages and docs are plain English: words that lab once used instead of the terms of the field stay out."""

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
    "the same start": "run start again",
    "mend": "fix",
    "is told": "is reported",
    "are told": "are reported",
    "met as a bug": "reported with its place",
    "runs nowhere": "must be one of …",
    "are gone": "exited, or do not exist",
    "is kept as": "is saved as snapshot",
    "gone on with": "resumed",
    "says so itself": "reports",
    "of which nothing": "a sentence with a subject",
    "which nobody": "a sentence with a subject",
    "in all of it": "in all …",
    "are asked": "are sent, probed or requested",
    "were asked": "were requested",
    "earns": "gets",
    "may earn": "is primary",
    "earn a word": "get a verdict",
    "hang elsewhere": "are misplaced",
    "hangs elsewhere": "is misplaced",
    "is not the one": "differs from",
    "wrote down": "described",
    "is there twice": "duplicate",
    "an idea of scale": "an order of magnitude",
    "bring home": "fetch",
    "brings home": "fetches",
    "brought home": "fetched",
    "come home": "are fetched",
    "half a character": "a lone surrogate",
    "under way": "in progress",
    "is lacking": "is missing",
    "nursery": "child processes",
    "seating": "matching",
    "seated": "placed",
    "of yours": "your own",
    "there are:": "known:",
    "is no folder": "is not a folder",
    "what keeps": "the process that runs …",
    "is gone": "exited, or does not exist",
    "kept up": "on standby",
    "was kept": "was saved",
    "cannot be kept": "does not support snapshots",
    "goes on with": "resumes",
    "to go on": "to continue",
    "told": "reported",
    "nobody": "a sentence with a subject",
    "whoever": "a sentence with a subject",
    "asked for": "requested",
    "is asked": "is sent, probed or requested",
    "was asked": "was requested",
    "what was there": "the state before",
    "what is there": "what exists",
    "who it is": "its identity",
    "this very": "this",
    "made again": "built or created again",
    "given back": "restored, or released",
    "never came": "was not received",
    "known to give": "expected",
    "stands on": "has a backing file, or uses",
    "to be had": "available",
    "that is none": "invalid",
    "it is no": "it is not a …",
    "of ours": "our own",
    "torn": "truncated",
}
FOUND: Final = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, BANNED)) + r")(?!\w)", re.IGNORECASE)


def banned(name: str, text: str) -> list[str]:
    """Each banned word in `text`, with its line and what to say instead."""
    return [
        f"{name}:{row}: {match[1]} (say: {BANNED[match[1].lower()]})"
        for row, line in enumerate(text.splitlines(), start=1)
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
        'raise LabError("the forms are gone", fix="")\n',
        'raise LabError("what nobody reads", fix="")\n',
    ],
)
def test_a_planted_word_is_seen(source: str) -> None:
    assert len(banned("x.py", strings(source))) == 1


def test_a_comment_and_a_name_are_not_texts() -> None:
    assert banned("x.py", strings("anew = 1  # is told\n")) == []
