"""Overhead: one dot per form and metric, with the single blocks, and the twin in the same figure for scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.model import figures
from lab.model.metrics import METRICS, headline
from lab.model.summary import Summary, Verdict
from lab.model.summary_controls import ControlEffect
from lab.report import phrases
from lab.report.form_style import Look, box, doubted, drawing, label, lane, line, looks, marker
from lab.report.markup import Html, number, part, table, tag

BESIDE: Final = ("latency_p90_ms", "rss_mib")
NAMES_W, PANEL_W, GAP, ROW_H, TOP = 150.0, 225.0, 22.0, 34.0, 58.0
BLOCKS_SAID: Final = {0: "No block has a figure: the table has the reasons.", 1: "One block, shown without intervals."}
TICK_CHARACTER: Final = 7.5  # width of a character with its spacing
VALUE_W: Final = 62.0  # width of a four-digit figure beside the plot, clear of the widest marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One figure of one form; `target`: the known effect of a control; `word`: why it is unsafe, "" where it is not."""

    pct: float
    blocks: tuple[float, ...]
    interval: tuple[float, float] | None = None
    target: float | None = None
    lost: bool = False
    word: str = ""


def metrics(summary: Summary) -> tuple[str, ...]:
    """The metrics with a panel: the headline ones and two more."""
    return (*headline(summary.clock), *BESIDE)


def section(summary: Summary) -> Html:
    names = [name for name, form in summary.forms.items() if form.role != "baseline"]
    blocks = max((row.blocks for row in summary.verdicts if row.effect_pct is not None), default=0)
    dots = {name: {metric: _dot(summary, name, metric) for metric in metrics(summary)} for name in names}
    lead = [_against(summary)]
    if summary.controls.twin:
        lead.append("The grey band is what the twin's own difference may be: effects inside it are noise.")
    if any(dot and dot.target is not None for column in dots.values() for dot in column.values()):
        lead.append("A bar across the line of a control marks the delay that was really added.")
    if any(dot and dot.word for column in dots.values() for dot in column.values()):
        lead.append("A figure that is BIASED or SATURATED is dim and has no size: the table has the reasons.")
    lead.append(BLOCKS_SAID.get(blocks, "Small dots are single blocks, the wide line is the interval."))
    return part(
        "overhead",
        "What it costs",
        " ".join(lead),
        _draw(summary, names, dots),
        _table(summary),
    )


def _against(summary: Summary) -> str:
    roles = {form.role for form in summary.forms.values()}
    if {"baseline", "twin"} <= roles:
        return "Change in per cent against the mean of baseline and twin; of the twin, against the baseline alone."
    return "Change in per cent against the baseline." if "baseline" in roles else "No form is without instrumentation."


def _dot(summary: Summary, name: str, metric: str) -> Dot | None:
    role = summary.forms[name].role
    delays = (summary.controls.delay_cpu, summary.controls.delay_wait)
    delay = next((one for one in delays if one and (one.form, one.metric) == (name, metric)), None)
    row: Verdict | ControlEffect | None = delay
    if role == "instrumented":
        row = summary.verdict(name, "baseline", metric)
    elif role == "twin":
        row = summary.controls.twin.get(metric)
    if row is None or row.effect_pct is None:
        return None
    return Dot(
        pct=row.effect_pct,
        blocks=row.per_block_pct,
        interval=(row.low_pct, row.high_pct) if row.low_pct is not None and row.high_pct is not None else None,
        target=delay.realised_pct if delay else None,
        lost=bool(row.lost),
        word=phrases.unsafe(summary, name, metric, level=row.level if isinstance(row, Verdict) else summary.level),
    )


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Low, high and step of an axis with zero and all values, with about four ticks."""
    low, high = min([0.0, *values]), max([0.0, *values])
    span = max(high - low, 5.0)
    scale = 10.0 ** math.floor(math.log10(span / 5))
    step = scale * next(s for s in (1, 2, 5, 10) if span / (s * scale) <= 5)
    return low - span * 0.05, high + span * 0.08, step


def _draw(summary: Summary, names: Sequence[str], dots: Mapping[str, Mapping[str, Dot | None]]) -> Html:
    look, shown = looks(summary), metrics(summary)
    height = TOP + ROW_H * len(names) + 28
    parts: list[Html] = []
    for index, name in enumerate(names):
        y = TOP + ROW_H * index + ROW_H / 2
        parts += lane(look[name], y, name, NAMES_W)
        parts.append(line(0, y + ROW_H / 2, NAMES_W + len(shown) * (PANEL_W + GAP), y + ROW_H / 2, "rule"))
    for index, metric in enumerate(shown):
        column = {name: dots[name][metric] for name in names}
        parts += _panel(NAMES_W + GAP + index * (PANEL_W + GAP), metric, column, summary, look)
    title = "Change in per cent against the baseline, by form and metric; the table below has the same figures."
    return drawing(NAMES_W + len(shown) * (PANEL_W + GAP), height, title, *parts)


def _panel(
    x0: float, metric: str, column: Mapping[str, Dot | None], summary: Summary, look: Mapping[str, Look]
) -> list[Html]:
    shown = [dot for dot in column.values() if dot]
    values = [v for dot in shown for v in (dot.pct, *dot.blocks, *([dot.target] if dot.target is not None else []))]
    low, high, step = _scale(values)
    plot = PANEL_W - VALUE_W

    def at(pct: float) -> float:
        return x0 + (pct - low) / (high - low) * plot

    bottom = TOP + ROW_H * len(column)
    of = METRICS[metric]
    parts = [label(x0, 18, phrases.heading(of.on(summary.clock)), "head"), label(x0, 34, of.note, "note")]
    twin = summary.controls.twin.get(metric)
    if twin:
        wide = twin.widest_pct  # its point alone may be near zero by luck
        # clip the band to the plot: outside are names and figures
        left, right = at(max(-wide, low)), at(min(wide, high))
        parts.append(box(left, TOP, right - left, bottom - TOP, "band", f"the twin differs by up to {wide:.1f} %"))
    parts += _axis(low, high, step, at, bottom)
    for index, (name, dot) in enumerate(column.items()):
        y = TOP + ROW_H * index + ROW_H / 2
        if dot is None:
            parts.append(label(x0 + plot + VALUE_W - 4, y + 4, figures.NONE, "value dim", "end"))
            continue
        marks: list[Html] = []
        if dot.target is not None:
            marks.append(line(at(dot.target), y - 11, at(dot.target), y + 11, "target"))
        marks.append(tag("line", x1=at(0), y1=y, x2=at(dot.pct), y2=y, class_=f"stem {look[name].css}"))
        if dot.interval:
            left, right = (min(max(end, low), high) for end in dot.interval)
            marks.append(tag("line", x1=at(left), y1=y, x2=at(right), y2=y, class_=f"interval {look[name].css}"))
        if len(dot.blocks) > 1:
            marks += [tag("circle", cx=at(pct), cy=y, r=2.2, class_=f"block {look[name].css}") for pct in dot.blocks]
        marks.append(marker(look[name], at(dot.pct), y, 5.5))
        parts += doubted(dot.word, *marks)
        parts.append(label(x0 + plot + VALUE_W - 4, y + 4, *_said(dot), "end"))
    return parts


def _said(dot: Dot) -> tuple[str, str]:
    """What stands beside a figure, and its class."""
    if dot.word:
        return dot.word, "doubt"
    return ("in noise", "value dim") if dot.lost else (figures.effect(dot.pct), "value")


def _axis(low: float, high: float, step: float, at: Callable[[float], float], bottom: float) -> list[Html]:
    """A grid line at every step, and evenly spaced figures at as many as fit; zero has its own line."""
    parts: list[Html] = []
    numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
    texts = {i: figures.signed(step * i, 0) if i else "0" for i in numbers}
    widest = TICK_CHARACTER * (max(map(len, texts.values())) + 1)
    every = math.ceil(widest / (at(step) - at(0)))
    for i, text in texts.items():
        x = at(step * i)
        parts.append(line(x, TOP, x, bottom, "grid" if i else "zero"))
        if i % every == 0:
            parts.append(label(x, bottom + 16, text, "tick", "middle"))
    return parts


def _table(summary: Summary) -> Html:
    """The same figures as a table, with the values."""
    rows = []
    for row in summary.verdicts:
        sure = f" ({row.confidence:.1%})" if row.confidence is not None else ""
        interval = phrases.interval(row) + sure
        rows.append(
            (row.form, row.against, phrases.compared(summary, row), number(_value(row.value)),
             number(figures.stated(row.effect_pct, row.lost)), number(interval),
             number(figures.NONE if row.mde_pct is None else f"{figures.amount(row.mde_pct)} %"),
             number(figures.NONE if row.floor_pct is None else f"{figures.amount(row.floor_pct)} %"),
             number(row.blocks), row.word,
             "; ".join(row.reasons))
        )  # fmt: skip
    head = ("form", "against", "metric", "value", "effect", "interval", "detectable", "floor", "blocks", "word", "why")
    summary_line = tag("summary", f"All {len(rows)} comparisons in numbers")
    return tag("details", summary_line, table(head, rows))


def _value(value: float | Mapping[str, float] | None) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{kind} {figures.amount(ms)}" for kind, ms in value.items()) or figures.NONE
    return figures.amount(value)
