"""The session: every attempt in order of time, including reruns and INVALID ones, with its missed gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.summary import CellAttempt, Summary
from lab.report import phrases
from lab.report.form_style import box, drawing, label, lane, line, looks
from lab.report.markup import Html, link, number, part, table, tag

WIDTH: Final = 1120.0
NAMES_W: Final = 150.0
ROW_H: Final = 28.0


def section(summary: Summary) -> Html:
    dotted = sum(not cell.valid for cell in summary.timeline)
    lead = (
        f"{phrases.usable(summary.cells)}. {figures.plural(dotted, 'attempt')} missed a gate and "
        f"{'is' if dotted == 1 else 'are'} dotted; a missed gate voids only the figures that it affects."
    )
    if summary.clock == COUNTED:
        lead += " The seconds are simulated, by the counted clock."
    if not summary.timeline:
        return part("timeline", "The session", lead, tag("p", _none_ran(summary), class_="empty"))
    return part("timeline", "The session", lead, tag("div", _draw(summary), class_="scroll"), _table(summary))


def _none_ran(summary: Summary) -> str:
    return " ".join(["No cell ran.", *(f"{failure}." for failure in phrases.unproven(summary))])


def _draw(summary: Summary) -> Html:
    look = looks(summary)
    cells = summary.timeline
    names = list(summary.forms)
    end = max(cell.end_s for cell in cells) or 1.0
    height = ROW_H * len(names) + 30

    def at(s: float) -> float:
        return NAMES_W + s / end * (WIDTH - NAMES_W - 10)

    parts: list[Html] = []
    for index, name in enumerate(names):
        y = ROW_H * index
        parts += [*lane(look[name], y + ROW_H / 2, name, NAMES_W), line(0, y + ROW_H, WIDTH, y + ROW_H, "rule")]
    for tick in _ticks(end):
        parts += [line(at(tick), 0, at(tick), ROW_H * len(names), "grid"),
                  label(at(tick), height - 10, figures.seconds(tick) if tick else "0", "tick", "middle")]  # fmt: skip
    for cell in cells:
        y = ROW_H * names.index(cell.form)
        css = f"mark {look[cell.form].css}" if cell.valid else "bar-missing"
        title = f"{cell.cell}, attempt {cell.attempt}: {phrases.void(cell)}"
        parts.append(box(at(cell.start_s), y + 6, max(at(cell.end_s) - at(cell.start_s), 2), ROW_H - 12, css, title))
        if not cell.valid:
            parts.append(
                label((at(cell.start_s) + at(cell.end_s)) / 2, y + ROW_H / 2 + 4, _short(cell), "missing", "middle")
            )
    return drawing(WIDTH, height, "Cells over time, one lane a form.", *parts)


def _short(cell: CellAttempt) -> str:
    """The text in the bar: saturated, INVALID, or the void families."""
    worth = phrases.void(cell)
    return (
        worth
        if worth in {"saturated", "INVALID"}
        else "no " + ", ".join(phrases.FAMILIES[family] for family in cell.void)
    )


def _ticks(end: float) -> list[float]:
    step = next(
        (s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400) if end / s <= 8), max(86400.0, end / 8)
    )
    return [float(step * i) for i in range(int(end / step) + 1)]


def _table(summary: Summary) -> Html:
    rows = []
    for cell in summary.timeline:
        missed = "; ".join(_missed(cell))
        validity = phrases.void(cell)
        state = tag("span", validity, class_="chip" if validity == "valid" else "chip bad")
        answered = f"{cell.completed:,} / {cell.scheduled:,}"
        kept = f"{cell.gates - len(cell.missed)} / {cell.gates}"
        doubts = "; ".join(cell.disagreements)
        rows.append(
            (link(cell.evidence, cell.cell), number(cell.attempt), state, number(answered),
             number(figures.amount(cell.rate_rps)), number(figures.amount(cell.achieved_rps)),
             number(cell.late), number(figures.amount(cell.sentinel_s)), number(kept),
             missed or figures.NONE, doubts or "agrees")
        )  # fmt: skip
    head = (
        "cell",
        "attempt",
        "",
        "answered",
        "rate req/s",
        "achieved",
        "late",
        "CPU loop s",
        "gates",
        "missed",
        "recomputed",
    )
    return table(head, rows)


def _missed(cell: CellAttempt) -> Iterator[str]:
    """Why it is INVALID: first failures (a crash, a full disk), then each missed gate with its value."""
    gates = {gate.gate for gate in cell.missed}
    yield from (reason for reason in cell.reasons if reason.partition(":")[0] not in gates)
    for gate in cell.missed:
        value, limit = figures.amount(gate.value), figures.amount(gate.limit)
        yield f"{gate.gate} {value} (limit {limit})" + ("" if gate.hard else " soft")
