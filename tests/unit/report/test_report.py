"""The report: self-contained, safe with hostile names, and nothing in it that summary.json does not say."""

from __future__ import annotations

import base64
import hashlib
import html as entities
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import report
from lab.guest.wire import decode, encode
from lab.model import figures
from lab.model.summary import GradeWord, Summary
from lab.model.summary_controls import Controls
from lab.report.markup import Html, clean, link, tag, text
from lab.report.page import SECTIONS, WORTH
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic

GOLDEN = synthetic.ROOT / "tests/golden/report"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe\u0000\u200b" + "A" * 10_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("run") / "run", invalid="twin")


@pytest.fixture(scope="module")
def summary(root: Path) -> Summary:
    return summarize(read(root))


@pytest.fixture(scope="module")
def page(summary: Summary) -> str:
    return report.html(summary)


class Elements(HTMLParser):
    """Every element with its attributes, and the text a person reads."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in {"meta", "br", "col", "hr"}:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, said: str) -> None:
        if "style" not in self.open:
            self.words.append(said)


def parsed(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    assert found.open == []
    return found


def section_of(page: str, ident: str) -> str:
    found = re.search(rf'<section id="{ident}">(.*?)</section>', page, re.DOTALL)
    assert found is not None
    return found[1]


def hostile(value: Any, bad: str) -> Any:
    """The same summary with every free text replaced by `bad`; words that the page's logic reads stay."""
    keep = {"role", "mechanism", "word", "mark", "metric", "against", "form", "kind", "level", "outcome", "pillar"}
    if isinstance(value, dict):
        return {k: v if k in keep else hostile(v, bad) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(item, bad) for item in value]
    return bad if isinstance(value, str) else value


# --- self-contained ------------------------------------------------------------------------------------------------


def test_the_policy_allows_the_style_and_nothing_else(page: str) -> None:
    meta = [a for name, a in parsed(page).elements if a.get("http-equiv") == "Content-Security-Policy"]
    policy = str(meta[0]["content"])
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy


def test_no_script_no_inline_style_no_address(page: str) -> None:
    for name, attributes in parsed(page).elements:
        assert name not in {"script", "iframe", "object", "embed", "link", "img", "base", "form"}
        assert "style" not in attributes
        assert not [key for key in attributes if key.startswith("on") or key in {"src", "srcset", "xlink:href"}]
        href = attributes.get("href") or ""
        assert not re.match(r"^([a-z][a-z0-9+.-]*:|//|/)", href, re.IGNORECASE)
    assert not re.search(r"url\(|@import", page)


def test_links_point_into_the_run(root: Path, page: str) -> None:
    links = {str(a["href"]) for name, a in parsed(page).elements if name == "a"}
    inside = {link for link in links if not link.startswith("#")}
    later = {"summary.json", "events.jsonl"}  # written beside the report, after it
    assert len(inside) > 5
    assert [path for path in sorted(inside - later) if not (root / path).exists()] == []
    anchors = {f"#{ident}" for ident, _, _ in SECTIONS}
    assert links - inside == anchors


def test_every_section_is_there_once(page: str) -> None:
    idents = [a["id"] for name, a in parsed(page).elements if name == "section"]
    assert idents == [ident for ident, _, _ in SECTIONS]


def test_every_figure_of_a_form_is_of_the_level_at_which_words_are_earned(summary: Summary) -> None:
    word = next(row for row in summary.verdicts if row.primary)
    memory = next(row for row in summary.verdicts if (row.form, row.metric) == (word.form, "rss_mib"))
    rows = (replace(memory, level="a slow one"), memory, word)
    shown = replace(summary, verdicts=rows).verdict(memory.form, memory.against, memory.metric)
    assert shown is not None
    assert shown.level == word.level


def test_every_grade_says_what_it_is_worth(summary: Summary) -> None:
    assert set(WORTH) == set(get_args(GradeWord))
    counted = replace(summary, grade=replace(summary.grade, word="counted"))
    assert WORTH["counted"] in report.html(counted)


def test_figures_of_a_counted_clock_are_not_called_time(summary: Summary, page: str) -> None:
    counted = report.html(replace(summary, clock="counted"))
    for said in ("of the counted clock (each is 500,000 instructions, not time)", "Simulated time, by the counted"):
        assert said in counted
        assert said not in page


def test_every_drawing_says_what_it_shows(page: str) -> None:
    drawings = re.findall(r'<svg viewBox="[^"]*" role="img" class="figure"><title>([^<]+)', page)
    assert len(drawings) >= 8
    assert len(drawings) == page.count('role="img"')


# --- truthful --------------------------------------------------------------------------------------------------------


def test_effects_are_printed_as_they_are_in_the_summary(summary: Summary, page: str) -> None:
    words = " ".join(parsed(page).words)
    for row in summary.verdicts:
        if row.effect_pct is not None:
            assert figures.effect(row.effect_pct) in words
        assert row.word in words
    for said in [*summary.may_not_claim, *(line.form for line in summary.lines)]:
        assert said in words


def test_a_cell_that_missed_a_gate_is_shown_with_what_it_voids(page: str) -> None:
    assert "not valid for latency" in section_of(page, "timeline")


def test_missing_spans_are_marked_in_the_waterfall(page: str) -> None:
    part = section_of(page, "waterfalls")
    assert part.count('class="missing"') == 2
    assert synthetic.MAP_FULL in entities.unescape(part)


@pytest.mark.parametrize("name", ["report.html", "report.md", "junit.xml"])
def test_golden(summary: Summary, name: str) -> None:
    """Made-up run, real report. After a wanted change: delete the file, run this test, look at the new one."""
    makers = {"report.html": report.html, "report.md": report.markdown, "junit.xml": report.junit}
    made, kept = makers[name](summary), GOLDEN / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(made, encoding="utf-8")
        pytest.fail(
            f"{kept.relative_to(synthetic.ROOT)} was not there and has been written: look at it, then commit it"
        )
    assert without_plan_digest(made) == without_plan_digest(kept.read_text(encoding="utf-8"))


def without_plan_digest(text: str) -> str:
    """It changes with every key that the wire gains, which is no change of the report."""
    return re.sub(r"(?<=<dt>plan</dt><dd>sha256 )[0-9a-f]{64}", "", text)


# --- hostile -----------------------------------------------------------------------------------------------------


def test_hostile_text_stays_text(summary: Summary, page: str) -> None:
    bad = report.html(decode(Summary, hostile(encode(summary), HOSTILE)))
    found = parsed(bad)
    names = {name for name, _ in found.elements}
    assert names <= {name for name, _ in parsed(page).elements}
    assert not [a for _, a in found.elements if "onerror" in a]
    assert "\u202e" not in bad
    assert "\x00" not in bad
    assert "\u200b" not in bad
    assert "A" * 3000 not in bad
    assert "&lt;script&gt;" in bad


def test_hostile_text_in_markdown_and_junit(summary: Summary) -> None:
    bad = decode(Summary, hostile(encode(summary), HOSTILE))
    assert "<script" not in report.markdown(bad)
    assert "\u202e" not in report.markdown(bad)
    assert ET.fromstring(report.junit(bad)).tag == "testsuites"


@given(st.text())
def test_any_text_survives_as_text(said: str) -> None:
    found = Elements()
    found.feed(tag("p", said, title=said))
    assert [name for name, _ in found.elements] == ["p"]
    assert "".join(found.words) == clean(said)
    assert found.elements[0][1]["title"] == clean(said, 2000)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../x", "guest/../../x", "a\\b"])
def test_links_cannot_leave_the_run(path: str) -> None:
    assert "href" not in link(path)


@pytest.mark.parametrize("path", ["javascript:alert(1)", "https://example.org/x", "data:text/html,x"])
def test_a_link_is_never_an_address(path: str) -> None:
    href = re.search(r'href="([^"]*)"', link(path))
    assert href is not None
    assert ":" not in href[1]


def test_a_style_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="unsafe"):
        tag("p", style="color:red")


def test_markup_is_only_taken_from_markup() -> None:
    assert text("<b>") == "&lt;b&gt;"
    assert text(Html("<b>")) == "<b>"


# --- odd runs --------------------------------------------------------------------------------------------------------


def test_a_run_of_which_nothing_came_home(summary: Summary) -> None:
    """Every cell lost: the page still opens and says so."""
    forms = {
        name: replace(
            form, metrics={}, cpu={}, memory={}, latency={}, nodes=(),
            coverage=replace(form.coverage, reference=0, received=0, ratio=None, parents_ok=None, by_type={}),
        )
        for name, form in summary.forms.items()
    }  # fmt: skip
    empty = replace(
        summary, forms=forms, verdicts=(), lines=(), traces=(), ecdf=(), timeline=(), steps=(),
        controls=Controls(twin={}), problems=("nothing came",),
    )  # fmt: skip
    page = report.html(empty)
    assert "nothing came" in " ".join(parsed(page).words)
    assert report.markdown(empty)
    assert report.junit(empty)


def test_junit_fails_what_is_broken_and_not_what_is_dear(summary: Summary) -> None:
    whole = ET.fromstring(report.junit(summary))
    assert whole.get("failures") == "1", "the made-up ebpf has an inner span under an unexpected parent"
    broken = replace(summary, timeline=tuple(replace(attempt, valid=False) for attempt in summary.timeline))
    failed = ET.fromstring(report.junit(broken)).findall("./testsuite[@name='cells']//failure")
    assert len(failed) == summary.cells.planned
    assert ET.fromstring(report.junit(broken)).findall("./testsuite[@name='claims']//failure") == []


def test_a_clock_that_was_left_behind_by_a_restore_is_told(summary: Summary, page: str) -> None:
    assert "behind the host" not in page
    about = summary.provenance
    behind = replace(about, guest={**about.guest, "clock_behind_s": 93.1})
    assert "93.1 s behind the host" in report.html(replace(summary, provenance=behind))
