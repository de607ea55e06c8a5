"""The report of a real run, opened in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.model.summary import Summary
from tests.e2e import browser

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
SECTIONS = (
    "verdict overhead waterfalls spans latency cpu pillars timeline steps provenance".split()  # noqa: SIM905 - a row
)
WIDTH, HEIGHT = 1280, 2400


@pytest.fixture(scope="module")
def report(run_dir: Path) -> Path:
    return run_dir / "report.html"


@pytest.fixture(scope="module")
def seen(report: Path) -> browser.Seen:
    return browser.open_page(report)


def test_opening_it_asks_nobody_and_complains_about_nothing(seen: browser.Seen) -> None:
    assert seen.asked == []
    assert seen.console == []


@pytest.mark.parametrize(
    "planted", ["<img src='http://192.0.2.1/pixel.png'>", "<script src='http://192.0.2.1/x.js'></script>"]
)
def test_a_page_that_does_ask_is_seen(tmp_path: Path, planted: str) -> None:
    page = tmp_path / "bad.html"
    page.write_text(f"<!doctype html><body>{planted}</body>", encoding="utf-8")
    assert b"192.0.2.1" in b"".join(browser.open_page(page).asked)


def test_what_the_policy_refuses_is_seen(tmp_path: Path, report: Path) -> None:
    """The report's own policy stops a planted script, and the browser says so."""
    page = tmp_path / "planted.html"
    text = report.read_text(encoding="utf-8")
    page.write_text(text.replace("</main>", "<script>document.title='x'</script></main>", 1), encoding="utf-8")
    seen = browser.open_page(page)
    assert any("Content Security Policy" in line for line in seen.console)
    assert seen.asked == []
    assert "<title>x</title>" not in seen.dom


def test_every_section_is_there(seen: browser.Seen) -> None:
    for name in SECTIONS:
        assert f'id="{name}"' in seen.dom, name


def test_one_verdict_line_per_form_and_one_for_form_against_form(seen: browser.Seen, summary: Summary) -> None:
    verdict = section(seen.dom, "verdict")
    alone = [line.form for line in summary.lines if line.against == "baseline"]
    assert sorted(alone) == ["ebpf", "orchestrion-otel"]
    # the first row names the columns
    assert len(re.findall(r'<div class="row">', verdict)) == len(alone)
    assert len(re.findall(r'<div class="pair">', verdict)) == 1
    for form in alone:
        assert form in verdict
    assert summary.grade.word.upper() in seen.dom


def test_each_request_type_has_its_waterfall_with_every_form(seen: browser.Seen, summary: Summary) -> None:
    part = section(seen.dom, "waterfalls")
    types = {trace.type for trace in summary.traces}
    assert {"browse", "checkout", "search"} <= types
    assert len(re.findall("<figure", part)) == len(types)
    for form in ("baseline", "orchestrion-otel", "ebpf"):
        assert part.count(form) >= len(types), form
    received = sum(len(row.spans) for trace in summary.traces for row in trace.rows)
    # c-ink is the legend's colour
    assert len(re.findall(r'class="bar-(?:server|client|lost) c-(?!ink)', part)) == received > 50


def test_four_pillars_with_evidence_or_not_measured(seen: browser.Seen, summary: Summary) -> None:
    part = section(seen.dom, "pillars")
    for pillar in ("performance", "safety", "portability", "stability"):
        assert re.search(pillar, part, re.IGNORECASE), pillar
    unmeasured = [row for row in summary.pillars if row.confidence == "none"]
    assert part.count("not measured") >= min(1, len(unmeasured))


def test_links_lead_to_files_of_the_run(report: Path) -> None:
    links = re.findall(r'href="([^"#][^"]*)"', report.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (report.parent / link).exists()] == []


def test_it_can_be_looked_at(report: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    for width in (WIDTH, 1920):
        assert browser.screenshot(report, tmp_path / f"{width}.png", width, HEIGHT) == (width, HEIGHT)
    assert browser.screenshot(blank, tmp_path / "blank.png", WIDTH, HEIGHT) == (WIDTH, HEIGHT)
    drawn, nothing = ((tmp_path / name).stat().st_size for name in (f"{WIDTH}.png", "blank.png"))
    assert drawn > 8 * nothing, "a page with text and figures does not compress like an empty one"


def section(dom: str, name: str) -> str:
    """The text of one section of the page."""
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', dom, re.DOTALL)
    assert found, name
    return found[0]
