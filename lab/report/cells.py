"""Every cell by block: what lies under the medians of the overhead figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.model import figures
from lab.model.metrics import headline
from lab.model.summary import CellAttempt, Summary
from lab.report import phrases
from lab.report.axis import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, scale, shown, unit, used
from lab.report.form_style import drawing, label, line, looks, marker, swatch
from lab.report.markup import Html, link, number, part, table, tag

ROLES: Final = ("service", "agent")
NAMED_W: Final = 60.0  # a narrower column has room for the number of its block only


def section(summary: Summary) -> Html:
    look = looks(summary)
    cells = _at_level(summary)
    valid = any(cell.cost is not None for cell in cells)
    level, metric = summary.level or None, headline(summary.clock)[0]
    titles = (phrases.titled(summary, name, metric, level=level) for name in summary.forms)
    keys = (tag("span", swatch(of), title) for of, title in zip(look.values(), titles, strict=True))
    return part(
        "cells",
        "Every cell",
        f"{unit(summary)} per request, service and agent together: one mark a cell, one column a block."
        + (" Forms whose marks never cross differ in every block." if len({cell.block for cell in cells}) > 1 else ""),
        _spread(summary),
        tag("p", *keys, class_="legend") if valid else None,
        tag("div", _draw(summary, cells), class_="scroll") if valid else tag("p", "No cell is valid.", class_="empty"),
        _table(summary),
    )


def _spread(summary: Summary) -> Html | None:
    """What a collection of garbage takes, where cells were given their share of their life's."""
    found = [
        f"{figures.amount(one.instructions / 1e6)} million instructions ({name}, {role}: {one.count} in its cells)"
        for name, form in summary.forms.items()
        for role, one in form.collections.items()
        if one.instructions
    ]
    if not found:
        return None
    said = "A cell has its share of the garbage collections of its process life at its load level"
    return tag("p", f"{said}, whether they fell into it or into another. One takes {'; '.join(found)}.")


def _at_level(summary: Summary) -> list[CellAttempt]:
    """The cells at the load level of the verdict, or all."""
    cells, level = used(summary), summary.level
    return [cell for cell in cells if cell.level == level] or cells


def _draw(summary: Summary, cells: Sequence[CellAttempt]) -> Html:
    look, names = looks(summary), list(summary.forms)
    blocks = sorted({cell.block for cell in cells})
    costs = [shown(summary, cell.cost) for cell in cells if cell.cost is not None]
    room = (WIDTH - LEFT - RIGHT) / len(blocks)
    bottom = HEIGHT - BOTTOM
    up, parts = scale(min(costs), max(costs), WIDTH - RIGHT, f"{unit(summary)} per request, block by block")
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
            said += ", saturated" if cell.saturated else ""
        parts.append(tag("g", tag("title", f"{cell.cell}: {said}"), mark))
    title = f"{unit(summary)} per request of every cell, one column a block; figures below."
    return drawing(WIDTH, HEIGHT, title, *parts)


def _cost(summary: Summary, cost: float | None) -> str:
    return figures.NONE if cost is None else figures.amount(shown(summary, cost))


def _table(summary: Summary) -> Html:
    spread = any(cell.collections for cell in summary.timeline)
    rows = [
        (
            *(link(cell.evidence, cell.cell), cell.form, number(cell.block), number(figures.amount(cell.achieved_rps))),
            number(_cost(summary, cell.cost)),
            *((number(_cost(summary, cell.as_counted)), number(_collections(cell))) if spread else ()),
            phrases.void(cell),
        )
        for cell in summary.timeline
    ]
    cost = f"{unit(summary).lower()} per request"
    more = ("as counted", "collections: service + agent") if spread else ()
    head = ("cell", "form", "block", "requests/s", cost, *more, "")
    return tag("details", tag("summary", f"All {len(rows)} attempts in numbers"), table(head, rows))


def _collections(cell: CellAttempt) -> str:
    return " + ".join(str(cell.collections[role]) for role in ROLES if role in cell.collections)
