"""The figures of a report as files of their own, for slides: each with its caption's legend and a provenance line.

Programs for slides read neither custom properties nor a theme: colours are written out, of the light theme.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final

from lab.model.summary import Summary
from lab.report import latency, page, waterfalls
from lab.report.form_style import label
from lab.report.markup import Html, tag

SECTIONS: Final = ("overhead", "waterfalls", "latency", "cpu", "rates", "cells", "timeline", "steps")
FIGURE: Final = re.compile(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)" role="img" class="figure">(.*?)</svg>', re.DOTALL)
LEGEND: Final = re.compile(r'<p class="legend">(.*?)</p>', re.DOTALL)
KEY: Final = re.compile(r'<span><svg [^>]*class="(key|swatch)"[^>]*>(.*?)</svg>(.*?)</span>', re.DOTALL)
MEDIA: Final = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
ROOT: Final = re.compile(r":root\{(.*?)\}", re.DOTALL)
RULE: Final = re.compile(r"(?<=[}\n])(svg \.[\w .,-]+|\.grid-line,svg \.grid)\{(.*?)\}")
COLOURS: Final = re.compile(r"\.(c-\w+)\{--c:var\(--(\w+)\)\}")
EDGE: Final = 24.0
LINE: Final = 22.0
LETTER: Final = 7.2  # the width of one, in the drawing's units
KEY_W: Final = {"key": 38.0, "swatch": 22.0}  # of a legend's mark, with the room before its text
SCALE: Final = 1.5
PLAIN: Final = re.compile(r"[^a-z0-9]+")
LONGEST: Final = 40  # letters of a request type in a name
# sections with a figure for each of these request types
BY_TYPE: Final[dict[str, Callable[[Summary], list[str]]]] = {
    "waterfalls": waterfalls.drawn_types,
    "latency": latency.drawn_types,
}


def pictures(summary: Summary) -> dict[str, str]:
    """name -> a whole SVG file. Names are file names on every system, whatever a run calls its request types."""
    found: dict[str, str] = {}
    builders = {ident: build for ident, _, build in page.SECTIONS}
    for ident in SECTIONS:
        section = builders[ident](summary)
        legend = "".join(LEGEND.findall(section))
        drawn = list(FIGURE.finditer(section))
        types = BY_TYPE[ident](summary) if ident in BY_TYPE else [""] * len(drawn)
        for kind, match in zip(types, drawn, strict=True):
            found[_name(ident, kind, found)] = _whole(summary, float(match[1]), float(match[2]), Html(match[3]), legend)
    return found


def _name(ident: str, kind: str, taken: Container[str]) -> str:
    """The section and its request type in small letters, digits and hyphens; numbered where another has the same."""
    plain = PLAIN.sub("-", kind.lower())[:LONGEST].strip("-")
    name = "-".join(filter(None, (ident, plain)))
    free = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(one for one in free if one not in taken)


def size(svg: str) -> tuple[int, int]:
    """Width and height in pixels of one of these."""
    found = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert found, "written by _whole"
    return int(found[1]), int(found[2])


def _whole(summary: Summary, width: float, height: float, drawn: Html, legend: str) -> str:
    keys, rows = _keys(legend, width)
    wide, high = width + 2 * EDGE, height + 2 * EDGE + LINE * (rows + 1)
    return str(
        tag(
            "svg",
            tag("style", Html(_style())),
            tag("rect", width=wide, height=high, class_="paper"),
            tag("g", drawn, transform=f"translate({EDGE:g} {EDGE:g})"),
            tag("g", *keys, transform=f"translate({EDGE:g} {height + EDGE + LINE / 2:g})"),
            label(EDGE, high - EDGE / 2, provenance(summary), "note"),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {wide:g} {high:g}",
            width=round(wide * SCALE),
            height=round(high * SCALE),
        )
    )


def _keys(legend: str, width: float) -> tuple[list[Html], int]:
    """The legend that stands beside the figure in the report, as rows below it; and how many rows."""
    made: list[Html] = []
    x, row = 0.0, 0
    for kind, shape, text in KEY.findall(legend):
        beside = KEY_W[kind]
        need = beside + 16 + LETTER * len(text)
        if x and x + need > width:
            x, row = 0.0, row + 1
        made.append(tag("g", Html(shape), transform=f"translate({x:g} {row * LINE:g})"))
        made.append(label(x + beside, row * LINE + 12, Html(text), "key"))
        x += need
    return made, row + 1 if made else 0


def provenance(summary: Summary) -> str:
    """Run, machine and version in one line."""
    made = summary.provenance
    machine = f"{made.provider}/{made.acceleration}, {summary.clock} clock, graded {summary.grade.word}"
    made_with = f"Go {made.toolchain.get('go', '?').removeprefix('go')} · lab {made.lab_version}"
    return f"{summary.run_id} · {machine} · {made_with}"


def _style() -> str:
    """The report's rules for figures, with every colour written out."""
    css = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    root = ROOT.search(css)
    assert root, "report.css begins with its colours"
    values = dict(part.split(":", 1) for part in root[1].replace("\n", "").split(";") if part.startswith("--"))
    colours = dict(COLOURS.findall(css))
    rules = [f"text{{fill:{values['--ink']};font-size:12px;font-family:{values['--sans']}}}"]
    rules.append(f".paper{{fill:{values['--sheet']}}}")
    for chosen, body in RULE.findall(MEDIA.sub("", css)):
        selector = chosen.replace("svg ", "")
        plain = re.sub(r"var\((--\w+)\)", lambda found: values.get(found[1], found[0]), body)
        if "var(--c)" not in plain:
            rules.append(f"{selector}{{{plain}}}")
            continue
        rules += [
            f"{selector}.{css_class}{{{plain.replace('var(--c)', values[f'--{name}'])}}}"
            for css_class, name in colours.items()
        ]
    return "\n".join(rules).replace("&", "&amp;").replace("<", "&lt;")
