"""Pages lead where they say: every relative link has its target, every promise a test that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import __version__
from tests.test_tree import files_of

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)>\s]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)


def pages(repo: Path) -> list[Path]:
    """Every Markdown page of the project; a golden report's links lead into its run."""
    return [repo / name for name in files_of(repo) if name.endswith(".md") and not name.startswith("tests/golden/")]


def anchors(page: str) -> set[str]:
    """The fragments that a page's headings can be reached by."""
    titles = (re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()) for title in HEADING.findall(FENCE.sub("", page)))
    return {title.strip().replace(" ", "-") for title in titles}


def dead_links(page: Path) -> Iterator[str]:
    """Relative links of a page that lead nowhere, as they are written."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (
            fragment and target.suffix == ".md" and fragment not in anchors(target.read_text(encoding="utf-8"))
        ):
            yield link


def promised(page: str) -> list[str]:
    """The last column of the table of promises: what test holds each."""
    rows = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return [row[-1].strip() for row in rows[2:]]


def holds(repo: Path, named: str) -> bool:
    """Whether every test that a promise names is there: a file, a folder with tests, or one test of a file."""
    tests = re.findall(r"`([^`]+)`", named)
    return bool(tests) and all(_is_test(repo, test) for test in tests)


def _is_test(repo: Path, test: str) -> bool:
    path, _, function = test.partition("::")
    place = repo / path
    if not path.startswith("tests/") or not place.exists():
        return False
    if place.is_dir():
        return not function and any(place.rglob("test_*.py"))
    return not function or f"\ndef {function}(" in place.read_text(encoding="utf-8")


def test_every_relative_link_leads_somewhere(repo: Path) -> None:
    found = pages(repo)
    assert repo / "docs/promises.md" in found
    assert {str(page.relative_to(repo)): dead for page in found if (dead := list(dead_links(page)))} == {}


def test_every_promise_names_its_test(repo: Path) -> None:
    named = promised((repo / "docs/promises.md").read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not holds(repo, name)] == []


def test_the_changelog_tells_of_this_version(repo: Path) -> None:
    assert f"\n## {__version__}" in (repo / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", ["gone.md", "there.md#no-such-title", "../x/there.md", "#nothing", "pic.png"])
def test_a_dead_link_is_seen(tmp_path: Path, link: str) -> None:
    (tmp_path / "there.md").write_text("# A title, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        f"# Top\n[a](there.md) [b](there.md#a-title-with-code) ![c]({link}) [d](#top) [e](https://x.example)\n"
    )
    assert list(dead_links(page)) == [link]


@pytest.mark.parametrize(
    "named", ["", "`tests/gone.py`", "tests/unit/test_docs.py", "`tests/unit/test_docs.py::test_gone`", "`lab/cli`"]
)
def test_an_empty_promise_is_seen(repo: Path, named: str) -> None:
    assert not holds(repo, named)
    assert holds(repo, "`tests/unit/test_docs.py`, `tests/unit/test_docs.py::test_every_promise_names_its_test`")
