"""Each figure of a headline has its own word: the word of the first metric vouches for no other one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lab import report
from lab.model.summary import Summary, Word
from lab.report import overhead
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.sentences import lines, may_not_claim
from tests.unit.report import synthetic
from tests.unit.report.test_report import parsed, section_of
from tests.unit.verdict.test_summary import row
from tests.unit.verdict.test_validity import LATE

WHY = "2 of 3 cells of ebpf have no valid figure (2 attempts INVALID), 0 of 6 on the other side"


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Late sends void the latency of ebpf in two blocks of three; its CPU is whole."""
    run = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=3, requests=60))
    cells = []
    for one in run.cells:
        gates = (*(g for g in one.cell.gates if g.name != "late"), LATE)
        void = replace(one, cell=replace(one.cell, valid=False, reasons=(LATE.said,), gates=gates))
        cells.append(void if one.cell.form == "ebpf" and one.cell.block < 3 else one)
    return summarize(replace(run, cells=tuple(cells)))


def test_a_biased_second_metric_is_called_so_in_every_line(biased: Summary) -> None:
    assert row(biased, "ebpf", "baseline", "latency_p50_ms").word == "BIASED"
    said = {(line.form, line.against): line for line in biased.lines}
    line = said["ebpf", "baseline"]
    assert line.word == "INDICATIVE"
    assert f", BIASED: {WHY};" in line.text
    assert "BIASED" not in said["orchestrion-otel", "baseline"].text
    assert f"**ebpf**: INDICATIVE. {line.text.split(',')[0]}" in report.markdown(biased).replace("\\", "")


def test_a_biased_second_metric_is_called_so_on_the_card(biased: Summary) -> None:
    card = section_of(report.html(biased), "verdict")
    (big,) = re.findall(r'<div class="big">(?:(?!</div>).)*BIASED.*?</div>', card)
    assert f"BIASED: {WHY}" in " ".join(parsed(big).words)
    pair = replace(row(biased, "ebpf", "orchestrion-otel", "latency_p50_ms"), word="BIASED", reasons=(WHY,))
    rows = tuple(pair if (r.against, r.metric) == (pair.against, pair.metric) else r for r in biased.verdicts)
    page = section_of(report.html(replace(biased, verdicts=rows)), "verdict")
    assert f"BIASED: {WHY}" in page.partition('class="card pairs"')[2].partition('class="limits"')[0]


def test_a_biased_primary_metric_may_not_be_claimed(biased: Summary) -> None:
    assert f"how much ebpf differs from baseline in median latency: BIASED, {WHY}" in biased.may_not_claim
    full = replace(row(biased, "orchestrion-otel", "baseline", "latency_p50_ms"), word="SATURATED", reasons=("full",))
    rows = tuple(full if (r.form, r.metric) == (full.form, full.metric) else r for r in biased.verdicts)
    claim = "how much orchestrion-otel differs from baseline in median latency: SATURATED, full"
    assert claim in may_not_claim(replace(biased, verdicts=rows))


def test_no_pillar_prints_a_biased_figure_as_a_plain_one(biased: Summary) -> None:
    (said,) = [one for one in biased.pillars if (one.pillar, one.mechanism) == ("performance", "run-time")]
    assert "% median latency (BIASED)" in said.measured


def test_a_line_that_costs_more_covers_no_other_word(biased: Summary) -> None:
    words: dict[str, tuple[Word, tuple[str, ...]]] = {
        "cpu_s_per_1k_requests": ("COSTS MORE", ()),
        "latency_p50_ms": ("CAN'T TELL", ("zero", "least")),
    }
    rows = tuple(
        replace(r, word=words[r.metric][0], reasons=words[r.metric][1])
        if r.metric in words and r.against == "baseline"
        else r
        for r in biased.verdicts
    )
    for line in (one for one in lines(replace(biased, verdicts=rows)) if one.against == "baseline"):
        assert line.word == "COSTS MORE"
        assert line.text.count("CAN'T TELL: zero") == 1


def test_a_counted_line_says_once_that_its_time_is_simulated(biased: Summary) -> None:
    why = "the machine counts instructions: its time is simulated"
    rows = tuple(replace(r, metric="instructions_per_request", word="COSTS MORE", reasons=())
                 if r.metric == "cpu_s_per_1k_requests" else replace(r, word="INDICATIVE", reasons=(why,))
                 for r in biased.verdicts if r.against == "baseline")  # fmt: skip
    for line in lines(replace(biased, clock="counted", verdicts=rows)):
        assert ", INDICATIVE" in line.text
        assert why not in line.text


def test_the_resolution_of_a_run_is_the_far_end_of_its_twin(biased: Summary) -> None:
    """A twin at -0.3 % with an interval of -7.5 to +7.1 % tells nothing apart below 7.5 %."""
    twin = dict(biased.controls.twin)
    cpu = replace(twin["cpu_s_per_1k_requests"], effect_pct=-0.3, low_pct=-7.5, high_pct=7.1)
    latency = replace(twin["latency_p50_ms"], effect_pct=-2.1, low_pct=None, high_pct=None)
    twin |= {"cpu_s_per_1k_requests": cpu, "latency_p50_ms": latency}
    wide = replace(biased, controls=replace(biased.controls, twin=twin))
    expected = "any difference smaller than that of the twin may be (CPU per request 7.5 %, median latency 2.1 %)"
    assert expected in may_not_claim(wide)
    drawn = section_of(report.html(wide), "overhead")
    assert "the twin differs by up to 7.5 %" in drawn
    assert "the twin differs by up to 2.1 %" in drawn
    assert len(overhead.metrics(wide)) == drawn.count('class="band"')


# --- what is not established ----------------------------------------------------------------------------------------


def claims(summary: Summary) -> list[str]:
    found = may_not_claim(summary)
    return [said.removeprefix("that a difference is established") for said in found if "is established" in said]


def indicative(biased: Summary, **why: tuple[str, ...]) -> Summary:
    """The primary rows of these forms are INDICATIVE for these reasons; the others have a verdict."""
    rows = []
    for one in biased.verdicts:
        given = why.get(one.form.partition("-")[0]) if one.against == "baseline" else None
        word: Word = "INDICATIVE" if given else "COSTS MORE"
        rows.append(replace(one, word=word, reasons=given or (), blocks=8) if one.primary else one)
    return replace(biased, verdicts=tuple(rows))


def test_a_run_of_a_noisy_machine_says_that_nothing_is_established(biased: Summary) -> None:
    noisy = "the machine is graded noisy"
    rows = tuple(replace(one, word="INDICATIVE", reasons=(noisy,), blocks=12) for one in biased.verdicts)
    assert claims(replace(biased, verdicts=rows)) == [f": {noisy}"]


def test_one_form_with_too_few_blocks_is_named(biased: Summary) -> None:
    few = "7 blocks; a verdict needs 8"
    found = claims(indicative(biased, ebpf=(few,)))
    assert found == [f" between ebpf and baseline in CPU per request and median latency: {few}"]
    both = claims(indicative(biased, ebpf=(few,), orchestrion=("the machine is graded noisy",)))
    assert len(both) == 2
    assert claims(indicative(biased)) == []


def test_a_doubt_is_no_reason_why_a_difference_is_not_established(biased: Summary) -> None:
    found = claims(indicative(biased, ebpf=("IMPLAUSIBLE: instrumentation that saves work", "3 blocks; 8")))
    assert found == [" between ebpf and baseline in CPU per request and median latency: 3 blocks; 8"]


def test_a_run_without_any_figure_establishes_nothing(biased: Summary) -> None:
    rows = tuple(replace(one, word="INVALID", effect_pct=None, blocks=0) for one in biased.verdicts)
    assert claims(replace(biased, verdicts=rows)) == [": no comparison has a figure"]
    assert claims(replace(biased, verdicts=())) == [": no comparison has a figure"]
