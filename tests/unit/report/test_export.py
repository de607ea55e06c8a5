"""What goes elsewhere: figures that stand alone, and verdicts as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.guest.wire import COUNTED
from lab.model.summary import Summary
from lab.report import export, phrases, pictures
from lab.report.markup import join
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


def test_a_counted_run_calls_its_latencies_simulated(summary: Summary) -> None:
    row = next(row for row in summary.verdicts if row.metric == "latency_p50_ms")
    assert phrases.compared(summary, row) == "Median latency"
    assert phrases.compared(replace(summary, clock=COUNTED), row) == "Simulated median latency"


def test_a_part_that_is_not_there_leaves_no_word_behind() -> None:
    assert join(("a", None, "b")) == "ab"
