"""Every cell by block: what lies under the medians of the overhead figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.model import figures
from lab.model.summary import CellAttempt, Summary
from lab.report import phrases
from lab.report.axis import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, scale, shown, unit, used
from lab.report.form_style import drawing, label, line, looks, marker, swatch
from lab.report.markup import Html, link, number, part, table, tag

NAMED_W: Final = 60.0  # a narrower column has room for the number of its block only


def section(summary: Summary) -> Html:
    look = looks(summary)
    cells = _at_level(summary)
    valid = any(cell.cost is not None for cell in cells)
    keys = (tag("span", swatch(look[name]), name) for name in summary.forms)
    return part(
        "cells",
        "Every cell",
        f"{unit(summary)} per request, service and agent together: one mark a cell, one column a block."
        + (" Forms whose marks never cross differ in every block." if len({cell.block for cell in cells}) > 1 else ""),
        tag("p", *keys, class_="legend") if valid else None,
        tag("div", _draw(summary, cells), class_="scroll") if valid else tag("p", "No cell is valid.", class_="empty"),
        _table(summary),
    )


def _at_level(summary: Summary) -> list[CellAttempt]:
    """The cells at the load level of the verdict, or all."""
    level = next((row.level for row in summary.verdicts if row.primary), "")
    cells = used(summary)
    return [cell for cell in cells if cell.level == level] or cells


def _draw(summary: Summary, cells: Sequence[CellAttempt]) -> Html:
    look, names = looks(summary), list(summary.forms)
    blocks = sorted({cell.block for cell in cells})
    costs = [shown(summary, cell.cost) for cell in cells if cell.cost is not None]
    room = (WIDTH - LEFT - RIGHT) / len(blocks)
    bottom = HEIGHT - BOTTOM
    up, parts = scale(min(costs), max(costs), WIDTH - RIGHT)
    for column, block in enumerate(blocks):
        x = LEFT + room * column
        text = f"block {block}" if room > NAMED_W else str(block)
        parts += [line(x, TOP, x, bottom, "rule"), label(x + room / 2, bottom + 16, text, "tick", "middle")]
    for cell in cells:
        x = LEFT + room * (blocks.index(cell.block) + (names.index(cell.form) + 0.5) / len(names))
        if cell.cost is None:
            mark, said = label(x, bottom - 4, "×", "missing", "middle"), phrases.void(cell)
        else:
            value = shown(summary, cell.cost)
            mark, said = marker(look[cell.form], x, up(value), 4.5), figures.amount(value)
        parts.append(tag("g", tag("title", f"{cell.cell}: {said}"), mark))
    title = f"{unit(summary)} per request of every cell, one column a block; figures below."
    return drawing(WIDTH, HEIGHT, title, *parts)


def _table(summary: Summary) -> Html:
    rows = [
        (
            *(link(cell.evidence, cell.cell), cell.form, number(cell.block), number(figures.amount(cell.achieved_rps))),
            number(figures.NONE if cell.cost is None else figures.amount(shown(summary, cell.cost))),
            phrases.void(cell),
        )
        for cell in summary.timeline
    ]
    head = ("cell", "form", "block", "requests/s", f"{unit(summary).lower()} per request", "")
    return tag("details", tag("summary", f"All {len(rows)} attempts in numbers"), table(head, rows))
