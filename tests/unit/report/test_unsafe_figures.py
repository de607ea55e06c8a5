"""No figure shows what is BIASED or SATURATED as plainly as the rest: the mark is dim, and the word is beside it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lab import report
from lab.model.metrics import ALL_LEVELS
from lab.model.summary import Summary, Word
from lab.report import phrases
from lab.runs.read import read
from lab.system import documents
from lab.system.documents import Source
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.report.synthetic import ROOT
from tests.unit.verdict.test_findings import timing_out

DIM = '<g class="doubted">'


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=2, requests=60)))


def called(summary: Summary, word: Word, form: str = "ebpf") -> Summary:
    """The same figures with this word on every comparison of the form with the baseline."""
    rows = tuple(
        replace(row, word=word, reasons=("why",)) if (row.form, row.against) == (form, "baseline") else row
        for row in summary.verdicts
    )
    return replace(summary, verdicts=rows)


@pytest.mark.parametrize("word", ["BIASED", "SATURATED"])
def test_the_word_is_in_place_of_the_size(summary: Summary, word: Word) -> None:
    plain, unsafe = (report.figures(one)["figure-overhead.svg"] for one in (summary, called(summary, word)))
    sizes = re.compile(r">[+−][\d.,]+ %<")
    rows = [r for r in called(summary, word).verdicts if r.word == word and r.effect_pct is not None]
    drawn = {r.metric for r in rows} & {"cpu_s_per_1k_requests", "latency_p50_ms", "latency_p90_ms", "rss_mib"}
    assert len(drawn) == 4
    assert unsafe.count(f">{word}<") == unsafe.count(DIM) == 4
    assert len(sizes.findall(plain)) - len(sizes.findall(unsafe)) == 4
    assert word not in plain
    assert DIM not in plain
    assert "BIASED or SATURATED is dim" in report.html(called(summary, word))
    assert "is dim" not in report.html(summary)


def test_figures_of_a_form_alone_have_it_too(summary: Summary) -> None:
    plain, unsafe = report.figures(summary), report.figures(called(summary, "SATURATED"))
    for name in (name for name in unsafe if name.startswith(("figure-cpu", "figure-latency", "figure-cells"))):
        assert "ebpf, SATURATED" in unsafe[name] or re.search(r">[\d.]+ ms, SATURATED<", unsafe[name]), name
        assert "SATURATED" not in plain[name]
    assert unsafe["figure-cpu.svg"].count(DIM) == 1


def test_so_have_the_lines_over_the_rates() -> None:
    run = ROOT / "docs/results/2026-11-30-shop-counted"
    counted = documents.read(Source(path=run / "summary.json", name="summary.json", fix=""), Summary)
    plain, unsafe = (report.figures(one)["figure-rates.svg"] for one in (counted, called(counted, "BIASED")))
    assert re.search(r">ebpf</text><text[^>]*>BIASED<", unsafe)
    assert len(re.findall(" a request, ", plain)) - len(re.findall(" a request, ", unsafe)) == 1
    assert {row.level for row in counted.verdicts if row.metric == "instructions_marginal"} == {ALL_LEVELS}
    assert DIM in unsafe
    assert DIM not in plain


def test_a_form_without_a_comparison_is_called_saturated_by_its_cells(summary: Summary) -> None:
    assert phrases.unsafe(summary, "baseline", "latency_p50_ms") == ""
    late = tuple(replace(one, saturated=one.form == "baseline") for one in summary.timeline)
    busy = replace(summary, timeline=late)
    assert phrases.unsafe(busy, "baseline", "latency_p50_ms") == "SATURATED"
    assert phrases.unsafe(busy, "baseline", "latency_p50_ms", level="another") == ""
    assert phrases.unsafe(busy, "twin", "latency_p50_ms") == ""
    assert "baseline, SATURATED" in report.figures(busy)["figure-cells.svg"]


def test_a_saturated_cell_is_called_so_in_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=240))
    cells = tuple(timing_out(one) if one.cell.form == "ebpf" else one for one in run.cells)
    drawn = report.figures(summarize(replace(run, cells=cells)))["figure-timeline.svg"]
    assert ">saturated<" in drawn
    assert ">no " not in drawn
