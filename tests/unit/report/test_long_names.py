"""The name of a form is as long as 64 characters: in a figure it ends where its column does."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from lab import report
from lab.model.summary import Summary
from lab.report import cpu, overhead, timeline
from lab.report.form_style import fitted
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.report.test_report import section_of

LONG = "orchestrion-otel-with-every-option-of-its-own-and-more-2.1"
OTHER = "orchestrion-otel-with-every-option-of-its-own-and-more-2.2"
MONO = 7.0  # the width of a letter of a name, 11.5 px and monospaced


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    forms = {{"ebpf": LONG, "orchestrion-otel": OTHER}.get(name, name): made for name, made in synthetic.FORMS.items()}
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=30, forms=forms)))


@pytest.mark.parametrize(
    ("ident", "ends"),
    [("overhead", overhead.NAMES_W), ("cpu", cpu.NAMES_W), ("timeline", timeline.NAMES_W)],
)
def test_a_long_name_ends_where_the_plot_begins_and_is_whole_in_its_title(
    summary: Summary, ident: str, ends: float
) -> None:
    drawing = drawn(summary, ident)
    names = [text for text in drawing.iter("text") if text.get("class") == "name"]
    assert len({shown(text) for text in names}) == len(names) >= 5, "no two look alike"
    for text in names:
        assert float(str(text.get("x"))) + MONO * len(shown(text)) <= ends, shown(text)
    assert {text.findtext("title") for text in names if text.find("title") is not None} == {LONG, OTHER}


def drawn(summary: Summary, ident: str) -> ET.Element:
    found = re.search(r'<svg viewBox="[^"]*" role="img".*?</svg>', section_of(report.html(summary), ident), re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])


def shown(text: ET.Element) -> str:
    return "".join(text.itertext()).removeprefix(text.findtext("title") or "")


def test_no_column_of_a_waterfall_begins_under_the_name_of_another(summary: Summary) -> None:
    drawing = drawn(summary, "waterfalls")
    heads = sorted((float(str(t.get("x"))), shown(t)) for t in drawing.iter("text") if t.get("class") == "head")
    assert len(heads) >= 3
    for (x, name), (following, _) in pairwise(heads):
        assert x + 7.5 * len(name) <= following, name


def test_a_name_that_fits_is_as_it_is() -> None:
    assert fitted("orchestrion-otel", 128.0) == "orchestrion-otel"
    assert fitted(LONG, 128.0) == "orchestrion…re-2.1"
