"""Pages lead where they say: every relative link has its target, every promise a test that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from lab import __version__
from lab.cli.app import build
from tests.test_tree import files_of
from tests.unit.named_tests import fault

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


def faults(repo: Path, named: str) -> list[str]:
    """What keeps the tests that a promise names from holding it."""
    tests = re.findall(r"`([^`]+)`", named)
    return [f"{test} {why}" for test in tests if (why := fault(repo, test))] if tests else [f"no test in {named!r}"]


CODE = re.compile(r"^```.*?\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\$ |time )?(?:\./)?labw? ([a-z][a-z-]*)(?![\w.])((?: (?!-- |# )\S+)*)")


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Every verb of `lab` that a page writes as code, with the words that follow it."""
    for block, span in CODE.findall(page):
        for line in (block or span).splitlines():
            yield from COMMAND.findall(line.partition(" #")[0])


def not_there(page: str) -> list[str]:
    """Verbs and options of a page that `lab` does not have; `test` and `python` are labw's own."""
    app = typer.main.get_group(build([]))
    verbs = {
        name: {o for p in verb.params for o in (*p.opts, *p.secondary_opts)} for name, verb in app.commands.items()
    }
    found = []
    for verb, words in commands(page):
        if verb in ("test", "python"):
            continue
        given = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", words))
        found += (
            [f"lab {verb} {option}" for option in sorted(given - verbs[verb])] if verb in verbs else [f"lab {verb}"]
        )
    return found


def test_every_command_of_the_pages_is_one_of_lab(repo: Path) -> None:
    read = {page: page.read_text(encoding="utf-8") for page in pages(repo) if page.name != "CHANGELOG.md"}
    assert sum(len(list(commands(text))) for text in read.values()) > 100
    assert {str(page.relative_to(repo)): gone for page, text in read.items() if (gone := not_there(text))} == {}


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("`lab stage --check` is fine", ["lab stage"]),
        ("```sh\n./labw demo --yes --live  # --nothing\nlab exec -- ls --color\n```", ["lab demo --live"]),
        ("the lab stage --check of prose, `./labw test -k x --tier unit`", []),
    ],
)
def test_a_command_that_is_not_there_is_seen(page: str, found: list[str]) -> None:
    assert not_there(page) == found


def test_every_relative_link_leads_somewhere(repo: Path) -> None:
    found = pages(repo)
    assert repo / "docs/promises.md" in found
    assert {str(page.relative_to(repo)): dead for page in found if (dead := list(dead_links(page)))} == {}


def test_every_promise_names_its_test(repo: Path) -> None:
    named = promised((repo / "docs/promises.md").read_text(encoding="utf-8"))
    assert named
    assert [why for name in named for why in faults(repo, name)] == []


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


SAMPLE = """
import pytest
from tests.helpers import holds
from tests import helpers

def test_one(): assert 1 + 1 == 2
def test_raises():
    with pytest.raises(ValueError): int("x")
def test_by_helper(): holds()
def test_by_helpers_module(): helpers.holds()
@pytest.mark.skipif(len("x") > 2, reason="some hosts")
def test_on_some_hosts(): assert len("x")
class TestOf:
    def test_inside(self): assert self
def test_nothing(): print("x")
def test_always(): assert True
def test_by_an_idle_helper(): helpers.idle()
def helper(): assert len("x")
@pytest.mark.skip(reason="broken")
def test_skipped(): assert len("x")
@pytest.mark.xfail
def test_expected_to_fail(): assert len("x")
@pytest.mark.skipif(True, reason="broken")
def test_skipped_always(): assert len("x")
def test_skips():
    pytest.skip("broken")
    assert len("x")
"""
HELPERS = """
def holds(): deeper()
def deeper(): assert len("x")
def idle(): idle()
"""


@pytest.mark.parametrize(
    ("test", "why"),
    [
        *((name, "") for name in ("test_one", "test_raises", "test_by_helper", "test_by_helpers_module")),
        *((name, "") for name in ("test_on_some_hosts", "TestOf::test_inside")),
        *((name, "asserts nothing") for name in ("test_nothing", "test_always", "test_by_an_idle_helper")),
        *((name, "is no test of that file") for name in ("helper", "test_gone", "test_inside")),
        *((name, "is never run") for name in ("test_skipped", "test_expected_to_fail", "test_skipped_always")),
        ("test_skips", "is never run"),
        ("TestGone::test_inside", "is in no class that pytest collects"),
    ],
)
def test_a_test_that_cannot_hold_a_promise_is_seen(tmp_path: Path, test: str, why: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_sample.py").write_text(SAMPLE, encoding="utf-8")
    (tmp_path / "tests/helpers.py").write_text(HELPERS, encoding="utf-8")
    assert fault(tmp_path, f"tests/test_sample.py::{test}") == why


@pytest.mark.parametrize(
    "named",
    [
        "",
        "`tests/gone.py::test_x`",
        "tests/unit/test_docs.py",
        "`tests/unit/test_docs.py`",
        "`lab/cli`",
        "`tests/unit`",
    ],
)
def test_an_empty_promise_is_seen(repo: Path, named: str) -> None:
    assert faults(repo, named)
    assert not faults(repo, "`tests/unit/test_docs.py::test_every_promise_names_its_test`")
