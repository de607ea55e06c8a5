"""The figures of a report as files for slides: whole, in colours that any program reads, with their provenance."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.report import pictures
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root: Path = synthetic.write(tmp_path_factory.mktemp("run") / "run")
    return pictures.pictures(summarize(read(root)))


def test_there_is_one_for_each_figure_of_the_report(found: dict[str, str]) -> None:
    assert {"overhead", "cpu", "timeline"} <= set(found)
    assert {name.partition("-")[0] for name in found} == set(pictures.SECTIONS) - {"rates"}, "this run has one rate"


def test_each_is_whole_by_itself(found: dict[str, str]) -> None:
    for name, svg in found.items():
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert "var(" not in svg, "programs for slides read no custom properties"
        assert "url(" not in svg
        assert "href" not in svg
        wide, high = pictures.size(svg)
        assert wide > 400
        assert high > 100


def test_every_colour_that_is_used_is_defined(found: dict[str, str]) -> None:
    for name, svg in found.items():
        style = svg[svg.index("<style>") : svg.index("</style>")]
        for used in re.findall(r'class="([\w -]+)"', svg):
            shape, _, colour = used.partition(" ")
            if colour.startswith("c-") and shape != "swatch":
                assert f".{shape}.{colour}{{" in style, (name, used)


def test_its_run_is_named_below(found: dict[str, str]) -> None:
    for svg in found.values():
        last = re.findall(r"<text[^>]*>(.*?)</text>", svg)[-1]
        assert re.fullmatch(r"\S+ · \S+/.*, \w+ clock, graded \w+ · Go .* · lab \S+", last), last


def test_the_legend_comes_along(found: dict[str, str]) -> None:
    for wanted in ("service, user", "agent, system"):
        assert wanted in found["cpu"]
    for form in ("baseline", "twin", "orchestrion-otel", "ebpf"):
        assert f">{form}</text>" in found["cells"], "its marks are named"


def test_an_axis_says_what_it_shows(found: dict[str, str]) -> None:
    assert ">Milliseconds of CPU per request, block by block</text>" in found["cells"]
