"""Latency: the distribution per request type, from the intended send time, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.summary import Summary
from lab.report import phrases
from lab.report.form_style import Look, doubted, drawing, label, line, looks, swatch
from lab.report.markup import Html, join, listed, number, part, table, tag

WIDTH: Final = 540.0
HEIGHT: Final = 250.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 14.0, 30.0, 34.0
Points = tuple[tuple[float, ...], ...]
Curves = dict[str, dict[str, Points]]  # request type -> form -> its curve
METRIC: Final = "latency_p50_ms"  # its word is that of the distribution: both are of the same cells
FEWEST: Final = 5  # minimum number of answers in every form for a curve


def drawn_types(summary: Summary) -> list[str]:
    """The request types with a figure, in its order."""
    return [kind for kind, lines in _by_type(summary).items() if _enough(lines)]


def section(summary: Summary) -> Html:
    look = looks(summary)
    curves = _by_type(summary)
    titles = {name: phrases.titled(summary, name, METRIC) for name in summary.forms}
    dim = [name for name, title in titles.items() if title != name]
    drawn = [tag("div", _draw(kind, curves[kind], look, dim), class_="half") for kind in drawn_types(summary)]
    keys = tag("p", *(tag("span", _key(look[name]), titles[name]) for name in _names(curves)), class_="legend")
    return part(
        "latency",
        "How long a request takes",
        ("Simulated time, by the counted clock: shown, never judged. " if summary.clock == COUNTED else "")
        + "Share of requests answered within a time, all valid cells together. Left and steep is good. "
        "Time counts from the intended send time, so it includes waiting.",
        keys if drawn else None,
        tag("div", *drawn, class_="grid") if drawn else None,
        _undrawn(summary, curves, len(drawn)),
        _table(summary, look, titles),
    )


def _undrawn(summary: Summary, curves: Curves, drawn: int) -> Html | None:
    """Why forms or types have no curve: no valid latency, or too few answers."""
    reasons = [f"{name}: {form.absent['latency']}" for name, form in summary.forms.items() if "latency" in form.absent]
    if len(curves) > drawn:
        reasons.append(f"{figures.plural(len(curves) - drawn, 'request type')}: fewer than {FEWEST} answers in a form")
    return listed(reasons)


def _by_type(summary: Summary) -> Curves:
    curves: Curves = {}
    for entry in summary.ecdf:
        if summary.forms[entry.form].role != "control":
            curves.setdefault(entry.type, {})[entry.form] = entry.points
    return curves


def _names(curves: Curves) -> list[str]:
    return list(dict.fromkeys(name for lines in curves.values() for name in lines))


def _enough(lines: Mapping[str, Points]) -> bool:
    return bool(lines) and all(len(points) >= FEWEST for points in lines.values())


def _key(look: Look) -> Html:
    stroke = tag("line", x1=1, y1=8, x2=31, y2=8, class_=f"curve {look.css}", stroke_dasharray=look.dash)
    return tag("svg", stroke, viewBox="0 0 32 16", class_="key", aria_hidden="true")


def _draw(kind: str, lines: Mapping[str, Points], look: Mapping[str, Look], dim: Collection[str]) -> Html:
    values = [max(point[0], 1e-3) for points in lines.values() for point in points]
    low, high = math.log10(min(values)), math.log10(max(values))
    low, high = low - 0.03, max(high + 0.03, low + 0.3)

    def at(ms: float) -> float:
        return LEFT + (math.log10(max(ms, 1e-3)) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def up(share: float) -> float:
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [label(LEFT, 16, kind, "head")]
    for percent in (0, 50, 90, 100):
        parts += [line(LEFT, up(percent / 100), WIDTH - RIGHT, up(percent / 100), "grid"),
                  label(LEFT - 6, up(percent / 100) + 4, f"{percent} %", "tick", "end")]  # fmt: skip
    for ms in _ticks(low, high):
        parts += [line(at(ms), TOP, at(ms), HEIGHT - BOTTOM, "grid"),
                  label(at(ms), HEIGHT - BOTTOM + 16, f"{ms:g} ms", "tick", "middle")]  # fmt: skip
    for name, points in lines.items():
        path = f"M{at(points[0][0]):.1f} {up(0):.1f}"
        path += "".join(f"H{at(ms):.1f}V{up(share):.1f}" for ms, share in points)
        curve = f"curve {look[name].css}"
        drawn = tag("path", tag("title", name), d=path, class_=curve, stroke_dasharray=look[name].dash)
        parts += doubted(name in dim, drawn)
    return drawing(WIDTH, HEIGHT, f"Latency of {kind} requests as cumulative shares, one curve a form.", *parts)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of each decade; thinned where a decade is narrow."""
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if high - low < 2.2 else (1.0,)
    if high - low < 1.0:
        steps = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    found = [s * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for s in steps]
    return [ms for ms in found if low <= math.log10(ms) <= high]


def _table(summary: Summary, look: Mapping[str, Look], titles: Mapping[str, str]) -> Html:
    rows = []
    for name, form in summary.forms.items():
        for kind, stats in form.latency.items():
            percentiles = (stats.p50_ms, stats.p90_ms, stats.p99_ms)
            cells = [number("too few" if ms is None else figures.amount(ms)) for ms in percentiles]
            rows.append(
                (join((swatch(look[name]), titles[name])), tag("code", kind), number(f"{stats.count:,}"), *cells)
            )
    head = ("form", "request type", "answers", "p50 ms", "p90 ms", "p99 ms")
    return tag("details", tag("summary", "Percentiles by form and request type"), table(head, rows))
