"""What of a report goes elsewhere: each figure as an SVG of its own for a slide, and all verdicts as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Final

from lab.model.summary import Summary
from lab.report.markup import clean
from lab.report.pictures import pictures

RUN: Final = ("run_id", "clock", "grade", "lab_version")
SIZES: Final = ("effect_pct", "low_pct", "high_pct")  # empty where the effect is lost in noise
COLUMNS: Final = ("form", "against", "metric", "level", "value", "reference_value", *SIZES, "range_pct", "confidence",
                  "lost", "mde_pct", "floor_pct", "threshold_pct", "blocks", "word", "primary", "reasons",
                  "evidence")  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t")  # a spreadsheet evaluates text that begins so


def figures(summary: Summary) -> dict[str, str]:
    """File name -> a complete SVG document, with its style and a line that says where it is from."""
    return {f"figure-{name}.svg": svg for name, svg in pictures(summary).items()}


def verdicts(summary: Summary) -> str:
    """Every comparison of the run, one a line, with what the run is; a latency has no single value."""
    run = (summary.run_id, summary.clock, summary.grade.word, summary.provenance.lab_version)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((*RUN, *COLUMNS))
    told = [_plain(value) for value in run]
    for row in summary.verdicts:
        hidden = (*SIZES, "range_pct") if row.lost else ()
        rows.writerow([*told, *("" if name in hidden else _plain(getattr(row, name)) for name in COLUMNS)])
    return text.getvalue()


def _plain(value: object) -> object:
    """A number as it is; text on one line, without invisible characters, which no spreadsheet takes for a formula."""
    if value is None or isinstance(value, Mapping):
        return ""
    texts = value if isinstance(value, tuple) else (value,)
    if not any(isinstance(one, str) for one in texts):
        return "; ".join(map(str, value)) if isinstance(value, tuple) else value
    text = "; ".join(clean(one).replace("\n", " ") for one in texts)
    return f"'{text}" if text.startswith(FORMULA) else text
