"""The figures of a report as files for slides: whole, in colours that any program reads, with their provenance."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.flows import report
from lab.model.errors import FetchError
from lab.model.summary import Summary
from lab.report import pictures
from lab.runs.read import read
from lab.verdict import summarize
from tests.support import lab_at
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run")))


@pytest.fixture(scope="module")
def found(summary: Summary) -> dict[str, str]:
    return pictures.pictures(summary)


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


def named(summary: Summary, *types: str) -> Summary:
    """The same summary with these request types, each with the curves and traces of its first."""
    first = summary.traces[0].type
    traces = [one for one in summary.traces if one.type == first]
    curves = [one for one in summary.ecdf if one.type == first]
    return replace(
        summary,
        traces=tuple(replace(one, type=kind) for kind in types for one in traces),
        ecdf=tuple(replace(one, type=kind) for kind in types for one in curves),
    )


@pytest.mark.parametrize(
    ("types", "plain"),
    [
        (("venues", "get-2"), ["venues", "get-2"]),
        (("../../../../../tmp/x/PWN",), ["tmp-x-pwn"]),
        (("get", "get request", "GET", "get-2"), ["get", "get-request", "get-2", "get-2-2"]),
        (("my type", "x:y?*", "a<b"), ["my-type", "x-y", "a-b"]),
        (("&" * 60, "😀" * 64), ["", "2"]),
        (("w" * 300, "w" * 299 + "v"), ["w" * 40, "w" * 40 + "-2"]),
    ],
)
def test_a_name_is_a_file_name_whatever_the_run_calls_its_types(
    summary: Summary, types: tuple[str, ...], plain: list[str]
) -> None:
    names = pictures.pictures(named(summary, *types))
    for section in ("latency", "waterfalls"):
        assert [name for name in names if name.startswith(section)] == [
            "-".join(filter(None, (section, name))) for name in plain
        ]


def test_no_figure_leaves_the_folder_of_its_run(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path / "home" / "runs" / "run")
    for path in (root / "guest").rglob("*.json"):
        path.write_text(path.read_text().replace('"checkout"', '"../../../out/PWN"'))
    synthetic.seal(root)
    (tmp_path / "out").mkdir()
    before = set(tmp_path.rglob("*"))
    report.write(lab_at(tmp_path / "home"), root)
    made = set(tmp_path.rglob("*")) - before
    assert {path.parent for path in made if path.suffix == ".svg"} == {root}
    assert root / "figure-waterfalls-out-pwn.svg" in made


def test_a_folder_at_the_place_of_a_figure_is_named_before_anything_is_written(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path / "runs" / "run")
    (root / "figure-cpu.svg").mkdir()
    before = set(root.rglob("*"))
    with pytest.raises(FetchError, match=r"cannot write .*figure-cpu\.svg: it is a folder"):
        report.write(lab_at(tmp_path), root)
    assert set(root.rglob("*")) == before
