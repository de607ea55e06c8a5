"""Cost against rate: the standing cost of being there, and the marginal cost of one more request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.metrics import ALL_LEVELS
from lab.model.summary import CellAttempt, Summary
from lab.report import phrases
from lab.report.axis import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, scale, shown, unit, used
from lab.report.form_style import Look, doubted, drawing, label, line, looks, marker, named
from lab.report.markup import Html, part, tag

WORDS_W: Final = 330.0  # beside the plot: the two costs of each form
ROW_H: Final = 40.0
DRAIN: Final = " A counted window lasts until the last spans arrived: its rate is lower than that of the load."


def section(summary: Summary) -> Html:
    fits = fitted(summary)
    return part(
        "rates",
        "Standing and marginal",
        f"{unit(summary)} per second at each rate. Where a line begins is the standing cost, of being there without "
        "load; its slope is the marginal cost, of one more request. Two costs, two answers."
        + (DRAIN if summary.clock == COUNTED else "")
        + (" From one block: a reading without an interval." if fits and _blocks(summary) == 1 else "")
        + (
            " ± is what one garbage collection more or less makes."
            if any(f.off and not f.word for f in fits.values())
            else ""
        ),
        tag("ul", *(tag("li", text) for text in kept)) if (kept := phrases.kept_up(summary)) else None,
        tag("div", _draw(summary, fits), class_="scroll") if fits else tag("p", _why_none(summary), class_="empty"),
    )


def _why_none(summary: Summary) -> str:
    """Why no form has a line."""
    rates = figures.plural(len(there := {cell.rate_rps for cell in summary.timeline}), "rate")
    if len(there) < 2:
        return f"{rates}: two are needed to tell them apart."
    absent = [form.absent["cpu"] for form in summary.forms.values() if "cpu" in form.absent]
    return f"{rates}, and no line: {next(iter(absent), 'no form has a figure at two of them in every block')}."


def _blocks(summary: Summary) -> int:
    """The blocks that have cells at several rates: the lines are fitted in them."""
    rates: dict[int, set[float]] = {}
    for cell in used(summary):
        rates.setdefault(cell.block, set()).add(cell.rate_rps)
    return sum(len(of) > 1 for of in rates.values())


@dataclass(frozen=True, slots=True)
class Fit:
    """Standing cost of a second and marginal cost of a request, in the unit of the figure; *off: how far off each may
    be by one garbage collection."""

    standing: float
    marginal: float
    off: float
    marginal_off: float
    word: str = field(default="", kw_only=True)  # why it is unsafe

    @property
    def said(self) -> str:
        if self.word:
            return self.word
        there = "no standing cost seen"
        if self.standing > 0:
            there = f"{_within(self.standing, self.off)} a second of being there"
        if self.off and abs(self.standing) <= self.off:
            there = f"the standing cost is lost in noise (±{figures.amount(self.off)})"
        return f"{_within(self.marginal, self.marginal_off)} a request, {there}"


def _within(value: float, off: float) -> str:
    return figures.amount(value) + (f" ± {figures.amount(off)}" if off else "")


def fitted(summary: Summary) -> dict[str, Fit]:
    counted = summary.clock == COUNTED
    names = ("instructions_standing", "instructions_marginal") if counted else ("cpu_standing_ms", "cpu_marginal_ms")
    found = {}
    for form, about in summary.forms.items():
        known = about.metrics.get(ALL_LEVELS)
        if known and all(name in known.others for name in names):
            costs = (shown(summary, known.others[name]) for name in names)
            offs = (shown(summary, known.plus_minus.get(name, 0.0)) for name in names)
            words = (phrases.unsafe(summary, form, name, level=ALL_LEVELS) for name in names)
            found[form] = Fit(*costs, *offs, word=next(filter(None, words), ""))
    return found


def points(summary: Summary) -> list[tuple[CellAttempt, float, float]]:
    """Each cell with its requests and its cost per second of its window: what the lines are fitted to."""
    return [
        (cell, cell.answered_rps, shown(summary, cell.cost) * cell.answered_rps)
        for cell in used(summary)
        if cell.cost is not None
    ]


def _draw(summary: Summary, fits: dict[str, Fit]) -> Html:
    look = looks(summary)
    drawn_at = [(cell, rate, y) for cell, rate, y in points(summary) if cell.form in fits]
    end, right, bottom = max(rate for _, rate, _ in drawn_at) * 1.05, WIDTH - WORDS_W, HEIGHT - BOTTOM
    ends = [fit.standing + fit.marginal * rate for fit in fits.values() for rate in (0.0, end)]
    up, parts = scale(
        min(0.0, *ends),
        max(*ends, *(y for _, _, y in drawn_at)),
        right,
        f"{unit(summary)} per second, by requests per second",
    )

    def at(rate: float) -> float:
        return LEFT + rate / end * (right - LEFT)

    for rate in (0.0, *_reached(cell for cell, _, _ in drawn_at)):
        text = f"{figures.amount(rate)}/s" if rate else "0"
        parts += [line(at(rate), TOP, at(rate), bottom, "grid"), label(at(rate), bottom + 16, text, "tick", "middle")]
    for row, (name, fit) in enumerate(fits.items()):
        ends_at = {"x1": at(0), "y1": up(fit.standing), "x2": at(end), "y2": up(fit.standing + fit.marginal * end)}
        drawn = tag("line", **ends_at, class_=f"curve {look[name].css}", stroke_dasharray=look[name].dash)
        parts += doubted(fit.word, drawn)
        parts += _words(look[name], name, fit, right + 24, TOP + ROW_H * row + 10)
    for cell, rate, y in drawn_at:
        mark = tag("g", tag("title", cell.cell), marker(look[cell.form], at(rate), up(y), 4))
        parts += doubted(fits[cell.form].word, mark)
    return drawing(WIDTH, HEIGHT, f"{unit(summary)} per second against requests per second, by form.", *parts)


def _reached(cells: Iterable[CellAttempt]) -> list[float]:
    """The mean rate that the cells of each planned rate reached."""
    found: dict[float, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.rate_rps, []).append(cell.answered_rps)
    return sorted(fmean(rates) for rates in found.values())


def _words(look: Look, name: str, fit: Fit, x: float, y: float) -> list[Html]:
    return [marker(look, x, y, 5), named(x + 14, y + 4, name, WORDS_W - 38), label(x + 14, y + 19, fit.said, "note")]
