"""What of a report goes elsewhere: each figure as an SVG of its own for a slide, and all verdicts as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Final

from lab.model.summary import Summary
from lab.report.pictures import pictures

COLUMNS: Final = ("form", "against", "metric", "level", "value", "reference_value", "effect_pct", "low_pct",
                  "high_pct", "confidence", "mde_pct", "floor_pct", "threshold_pct", "blocks", "word", "primary",
                  "reasons")  # fmt: skip


def figures(summary: Summary) -> dict[str, str]:
    """File name -> a complete SVG document, with its style and a line that says where it is from."""
    return {f"figure-{name}.svg": svg for name, svg in pictures(summary).items()}


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
