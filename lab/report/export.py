"""What of a report goes elsewhere: each figure as an SVG of its own for a slide, and all verdicts as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.model.summary import Summary
from lab.report.markup import Html, tag
from lab.report.page import SECTIONS

FIGURE: Final = re.compile(r'<svg (viewBox="0 0 (\S+) (\S+)" role="img" class="figure")>(.*?)</svg>', re.DOTALL)
FOOT: Final = 30.0
COLUMNS: Final = ("form", "against", "metric", "level", "value", "reference_value", "effect_pct", "low_pct",
                  "high_pct", "confidence", "mde_pct", "floor_pct", "threshold_pct", "blocks", "word", "primary",
                  "reasons")  # fmt: skip


def figures(summary: Summary) -> dict[str, str]:
    """File name -> a complete SVG document, with its style and a line that says where it is from."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    found = {}
    for ident, _, build in SECTIONS:
        for at, (frame, width, height, content) in enumerate(FIGURE.findall(build(summary)), start=1):
            whole = float(height) + FOOT
            taller = frame.replace(f'{width} {height}"', f'{width} {whole:g}"')
            parts = (
                Html(f"<style><![CDATA[{style}]]></style>"),
                tag("rect", width=float(width), height=whole, fill="var(--paper)"),
                Html(content),
                tag("text", provenance(summary), x=2, y=whole - 8, class_="note"),
            )
            name = f"figure-{ident}{f'-{at}' if at > 1 else ''}.svg"
            found[name] = f'<svg xmlns="http://www.w3.org/2000/svg" {taller}>{"".join(parts)}</svg>\n'
    return found


def provenance(summary: Summary) -> str:
    """Run, machine and version in one line."""
    about = summary.provenance
    machine = f"{about.provider}/{about.acceleration}, {summary.clock} clock, graded {summary.grade.word}"
    made_with = f"Go {about.toolchain.get('go', '?').removeprefix('go')} · lab {about.lab_version}"
    return f"{summary.run_id} · {machine} · {made_with}"


def verdicts(summary: Summary) -> str:
    """Every comparison of the run, one a line; a latency has no single value."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for row in summary.verdicts:
        rows.writerow([_plain(getattr(row, name)) for name in COLUMNS])
    return text.getvalue()


def _plain(value: object) -> object:
    if value is None or isinstance(value, Mapping):
        return ""
    return "; ".join(map(str, value)) if isinstance(value, tuple) else value
