"""What goes elsewhere: figures that stand alone, and verdicts as CSV."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.guest.wire import COUNTED, decode
from lab.model.figures import effect
from lab.model.summary import Summary
from lab.report import export, junit, phrases, pictures
from lab.report.markdown import plain
from lab.report.markup import join
from lab.report.page import html
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=30)))


def test_each_figure_is_a_document_of_its_own_that_says_where_it_is_from(summary: Summary, tmp_path: Path) -> None:
    found = export.figures(summary)
    assert {"figure-overhead.svg", "figure-timeline.svg"} <= found.keys()
    for name, text in found.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        root = ET.parse(tmp_path / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "".join(root.itertext()).rstrip().endswith(pictures.provenance(summary)), name
        assert summary.run_id in pictures.provenance(summary)
        assert "href" not in text


def test_every_verdict_is_a_row_of_the_csv(summary: Summary) -> None:
    rows = list(csv.DictReader(io.StringIO(export.verdicts(summary))))
    told = [(row["form"], row["against"], row["metric"], row["word"]) for row in rows]
    assert told == [(row.form, row.against, row.metric, row.word) for row in summary.verdicts]
    first = summary.verdicts[0]
    assert rows[0]["effect_pct"] == str(first.effect_pct)


def test_a_comparison_names_its_level_where_there_are_several(summary: Summary) -> None:
    one = summary.verdicts[0]
    slow = replace(summary, verdicts=(*summary.verdicts, replace(one, level="slow")))
    assert phrases.compared(summary, one) == "CPU per request"
    assert phrases.compared(slow, one) == f"CPU per request, {one.level}"


def test_no_text_of_the_csv_is_a_formula_or_hides_what_follows(summary: Summary) -> None:
    one = replace(summary.verdicts[0], form='=HYPERLINK("x")', effect_pct=-4.5, reasons=("@a\u202eb\x1bc\nd", "-e"))
    made = replace(summary.provenance, lab_version="+1")
    text = export.verdicts(replace(summary, run_id="\t=1", provenance=made, verdicts=(one,)))
    assert text.count("\n") == 2
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["form"] == '\'=HYPERLINK("x")'
    assert row["lab_version"] == "'+1"
    assert row["run_id"] == "'\t=1"
    assert row["reasons"] == "'@a\\u202eb\\u001bc d; -e"
    assert row["effect_pct"] == "-4.5", "a number stays a number"
    assert row["evidence"].split("; ") == list(one.evidence), "a long list is whole"


@pytest.mark.parametrize(
    "path", sorted(synthetic.ROOT.glob("docs/results/*/verdicts.csv")), ids=lambda p: p.parent.name
)
def test_the_committed_verdicts_are_what_the_reference_promises(path: Path) -> None:
    """They are what a reader meets first: with all columns, and the verdicts of the summary beside them."""
    kept = decode(Summary, json.loads(path.with_name("summary.json").read_text(encoding="utf-8")))
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join((*export.RUN, *export.COLUMNS)), "draw it again from summary.json"
    assert text == export.verdicts(kept)
    report = path.with_name("report.md").read_text(encoding="utf-8")
    assert [
        line for line in (*kept.lines, *kept.may_not_claim) if plain(getattr(line, "text", line)) not in report
    ] == []


def test_every_claim_of_junit_has_a_name_of_its_own(summary: Summary) -> None:
    """A program that reads JUnit keeps one case per name: of three levels it would keep one."""
    more = tuple(replace(row, level=level) for level in ("slow", "fast") for row in summary.verdicts)
    for of in (summary, replace(summary, verdicts=(*summary.verdicts, *more))):
        cases = ET.fromstring(junit(of)).findall("./testsuite[@name='claims']/testcase")
        names = [case.get("name") for case in cases]
        assert len(names) == len(of.verdicts)
        assert len(set(names)) == len(names)


def test_a_counted_run_calls_its_latencies_simulated(summary: Summary) -> None:
    row = next(row for row in summary.verdicts if row.metric == "latency_p50_ms")
    assert phrases.compared(summary, row) == "Median latency"
    assert phrases.compared(replace(summary, clock=COUNTED), row) == "Simulated median latency"


def test_a_part_that_is_not_there_leaves_no_word_behind() -> None:
    assert join(("a", None, "b")) == "ab"


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Eight blocks whose CPU varies twofold from cell to cell."""
    run = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=8, requests=60))
    dice = random.Random(3)
    cells = []
    for one in run.cells:
        times = dice.lognormvariate(0, 0.8)
        usage = tuple(replace(u, user_s=u.user_s * times, system_s=u.system_s * times) for u in one.cell.usage)
        cells.append(replace(one, cell=replace(one.cell, usage=usage)))
    return summarize(replace(run, cells=tuple(cells)))


def test_a_row_of_the_csv_has_its_run_and_no_size_of_an_effect_that_is_lost_in_noise(noisy: Summary) -> None:
    rows = list(csv.DictReader(io.StringIO(export.verdicts(noisy))))
    lost = [row for row in rows if row["lost"]]
    assert lost
    assert {row[name] for row in lost for name in ("effect_pct", "low_pct", "high_pct", "range_pct")} == {""}
    assert all(
        row["effect_pct"] for row in rows if not row["lost"] and row["blocks"] != "0" and row["word"] == "INDICATIVE"
    )
    assert {(row["run_id"], row["clock"], row["grade"]) for row in rows} == {
        (noisy.run_id, noisy.clock, noisy.grade.word)
    }
    assert {row["lab_version"] for row in rows} == {noisy.provenance.lab_version}
    assert rows[0]["evidence"].split("; ") == list(noisy.verdicts[0].evidence)


def test_a_control_that_is_lost_in_noise_is_drawn_and_written_as_such(noisy: Summary) -> None:
    delay = noisy.controls.delay_cpu
    assert delay is not None
    assert delay.lost
    assert delay.metric == "cpu_s_per_1k_requests"
    page = html(noisy)
    ruler = page[page.index('class="ruler"') :]
    ruler = ruler[: ruler.index("</ul>")]
    assert f"The lab measured lost in noise ({delay.lost})" in ruler
    drawn = page[page.index('id="overhead"') :]
    drawn = drawn[: drawn.index("</svg>")]
    assert "in noise" in drawn
    assert f">{effect(delay.effect_pct)}<" not in drawn
