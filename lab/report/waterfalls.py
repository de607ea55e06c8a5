"""The same request in each form, side by side, on one clock. Every reference span has a row, received or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.summary import Summary
from lab.model.summary_form import Trace, TraceRow
from lab.report.form_style import Look, box, drawing, label, legend, line, looks, marker, named
from lab.report.markup import Html, join, link, listed, part, tag

WIDTH: Final = 1120.0
NAMES_W: Final = 298.0
ROW_H: Final = 22.0
TOP: Final = 64.0
GAP: Final = 22.0
CHARACTER: Final = 6.4  # width of a character, in the drawing's units
MARKS: Final = {"root": "no parent", "orphan": "parent missing", "moved": "other parent", "extra": "extra"}
LEGEND: Final = (
    ("bar-server c-ink", "server span"),
    ("bar-client c-ink", "client span"),
    ("bar-missing", "missing"),
    ("bar-lost c-ink", "wrong or lost parent"),
    ("bar-extra", "extra: not in the reference"),
    ("bar-request", "the request, measured by its sender"),
)


def drawn_types(summary: Summary) -> list[str]:
    """The request types with a figure, in its order."""
    return list(dict.fromkeys(trace.type for trace in summary.traces))


def section(summary: Summary) -> Html:
    look = looks(summary)
    return part(
        "waterfalls",
        "What it shows",
        "One request of each type, sent once to every form before any load. A row is a span of the hand-written "
        "reference. Same row, same span; same clock in every column."
        + (" Its milliseconds are simulated, by the counted clock." if summary.clock == COUNTED else ""),
        legend(*LEGEND),
        *(_request(kind, summary, look) for kind in drawn_types(summary)),
        _without(summary),
    )


def _without(summary: Summary) -> Html | None:
    """Forms without a waterfall, and why."""
    shown = {trace.form for trace in summary.traces}
    reasons = [
        f"{name}: no canary request was recorded" + (f" ({form.proof.reason})" if form.proof.reason else "")
        for name, form in summary.forms.items()
        if name not in shown
    ]
    return listed(reasons)


def _request(kind: str, summary: Summary, look: Mapping[str, Look]) -> Html:
    found = [trace for trace in summary.traces if trace.type == kind]
    plain = [trace for trace in found if summary.forms[trace.form].role != "instrumented"]
    shown = [trace for trace in found if trace not in plain]
    rows = found[0].rows
    extras = max((len(trace.extra) for trace in found), default=0)
    # uninstrumented forms share a column: one bar each
    top = TOP + ROW_H * max(1, len(plain))
    height = top + ROW_H * (len(rows) + extras) + 26
    longest = max([trace.request_ms for trace in found] + [_end(trace) for trace in found])
    columns = ([plain] if plain else []) + [[trace] for trace in shown]
    width = (WIDTH - NAMES_W) / len(columns)
    parts = _names(rows, extras, top)
    for index, column in enumerate(columns):
        grid = Grid(x0=NAMES_W + index * width, width=width - GAP, longest=longest, top=top, bottom=height - 20)
        parts += [*_clock(grid), *(_plain(column, look, grid) if column is plain else _column(column[0], look, grid))]
    title = f"Spans of one {kind} request in {', '.join(trace.form for trace in found)}, on one time axis."
    return tag(
        "figure",
        tag("figcaption", tag("b", kind), _said(shown)),
        tag("div", drawing(WIDTH, height, title, *parts), class_="scroll"),
        _causes(shown),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One column: its position, width and clock. top: start of the first span row."""

    x0: float
    width: float
    longest: float
    top: float
    bottom: float

    def at(self, ms: float) -> float:
        return self.x0 + max(0.0, min(ms / self.longest, 1.0)) * self.width if self.longest else self.x0

    @property
    def end(self) -> float:
        return self.x0 + self.width


def _end(trace: Trace) -> float:
    spans = [span for row in trace.rows for span in row.spans] + list(trace.extra)
    return max((span.start_ms + span.duration_ms for span in spans), default=0.0)


def _said(shown: Sequence[Trace]) -> Html:
    return join(
        tag("span", f"{trace.form} {trace.received}/{trace.reference} ", link(trace.evidence, "file"))
        for trace in shown
    )


def _names(rows: Sequence[TraceRow], extras: int, top: float) -> list[Html]:
    """The left column: the tree, one row a span."""
    parts = [label(0, TOP + ROW_H - 8, "request", "name dim")]
    for index, row in enumerate(rows):
        y = top + ROW_H * index
        x = 8 + 11.0 * row.depth
        if row.depth:
            parts.append(tag("path", d=f"M{x - 7:.1f} {y + 3:.1f}v8h5", class_="branch"))
        parts.append(label(x, y + 15, _short(row), "name"))
        parts.append(label(NAMES_W - 14, y + 15, row.kind, "kind", "end"))
        parts.append(line(0, y, WIDTH, y, "rule"))
    if extras:
        y = top + ROW_H * len(rows)
        parts += [line(0, y, WIDTH, y, "rule"), label(8, y + 15, "beyond the reference", "name dim")]
    return parts


def _short(row: TraceRow) -> str:
    name = str(row.match)
    if row.kind.startswith("grpc"):  # pkg.Service/Method: drop the package in a narrow column
        package, _, method = name.partition("/")
        name = f"{package.rpartition('.')[2]}/{method}"
    # the width beside the kind, at about 6.9 units a character
    room = int((NAMES_W - 98 - 11 * int(row.depth)) / 6.95)
    return name if len(name) <= room else name[: room - 1] + "…"


def _clock(grid: Grid) -> list[Html]:
    """The time axis: its first and last figure stay within the column."""
    parts = []
    for ms in _ticks(grid.longest):
        x = grid.at(ms)
        anchor = "start" if ms == 0 else "end" if x > grid.end - 12 else "middle"
        parts.append(line(x, TOP - 6, x, grid.bottom, "grid"))
        parts.append(label(x, grid.bottom + 14, f"{ms:g}" + (" ms" if ms == 0 else ""), "tick", anchor))
    return parts


def _plain(traces: Sequence[Trace], look: Mapping[str, Look], grid: Grid) -> list[Html]:
    """Uninstrumented forms: the duration of each request, and any spans."""
    alone = len(traces) == 1
    parts = [named(grid.x0, 18, traces[0].form if alone else "not instrumented", grid.width, "head")]
    made = [trace for trace in traces if trace.received or trace.extra]
    note = "; ".join(f"{trace.form}: {_count(trace)}" for trace in made) or "no spans, as expected"
    parts.append(label(grid.x0, 38, note, "note"))
    for index, trace in enumerate(traces):
        y = TOP + ROW_H * index
        end = grid.at(trace.request_ms)
        parts.append(box(grid.x0, y + 4, end - grid.x0, ROW_H - 9, "bar-request", trace.form))
        parts.append(marker(look[trace.form], grid.x0 + 10, y + 11, 4))
        name = "" if alone else trace.form
        parts.append(_value(grid, grid.x0 + 18, end, y + 15, trace.request_ms, after=name))
    return parts


def _column(trace: Trace, look: Mapping[str, Look], grid: Grid) -> list[Html]:
    mine, at = look[trace.form], grid.at
    parts = [marker(mine, grid.x0 + 6, 14, 5), named(grid.x0 + 18, 18, trace.form, grid.width - 18, "head")]
    parts.append(label(grid.x0, 38, _count(trace, "no spans received"), "note"))
    end = at(trace.request_ms)
    parts.append(box(grid.x0, TOP + 4, end - grid.x0, ROW_H - 9, "bar-request"))
    parts.append(_value(grid, grid.x0, end, TOP + 15, trace.request_ms))
    for index, row in enumerate(trace.rows):
        parts += _row(row, mine, grid, grid.top + ROW_H * index, foreseen=trace.expected)
    for index, span in enumerate(trace.extra):
        y = grid.top + ROW_H * (len(trace.rows) + index)
        start, end = at(span.start_ms), at(span.start_ms + span.duration_ms)
        title = f"{span.operation}: {MARKS[span.mark]}, {figures.amount(span.duration_ms)} ms"
        parts.append(box(start, y + 5, max(end - start, 2), ROW_H - 10, "bar-extra", title))
        parts.append(label(min(end + 4, grid.end - 90), y + 15, f"+ {span.operation}"[:18], "value"))
    return parts


def _row(row: TraceRow, look: Look, grid: Grid, y: float, *, foreseen: bool) -> list[Html]:
    """A span, or the mark of a missing one. foreseen: whether the form has an expectation here."""
    parts: list[Html] = []
    at = grid.at
    kind = "client" if row.kind.endswith("client") else "server"
    for span in row.spans:
        start, end = at(span.start_ms), at(span.start_ms + span.duration_ms)
        wrong = span.mark != "ok"
        css = f"bar-lost {look.css}" if wrong else f"bar-{kind} {look.css}"
        title = f"{span.name} · {span.service} · {figures.amount(span.duration_ms)} ms"
        title += f" · {MARKS[span.mark]}" if wrong else ""
        parts.append(box(start, y + 4, max(end - start, 1.5), ROW_H - 8, css, title))
    if row.spans:
        last = row.spans[-1]
        end, start = at(last.start_ms + last.duration_ms), at(row.spans[0].start_ms)
        took = sum(span.duration_ms for span in row.spans)
        odd = next((span.mark for span in row.spans if span.mark != "ok"), None)
        prefix = f"{len(row.spans)}{figures.TIMES} " if len(row.spans) > 1 else ""
        parts.append(_value(grid, start, end, y + 15, took, prefix, MARKS[odd] if odd else ""))
    if row.missing:
        cause = row.cause or ("not expected to be missing" if foreseen else "cause unknown")
        parts.append(box(grid.x0 + 1, y + 4, grid.width - 2, ROW_H - 8, "bar-missing", cause))
        few = f"{row.missing}{figures.TIMES} " if row.missing > 1 else ""
        text = f"{few}missing" + ("" if row.known or not foreseen else ", unexpectedly")
        parts.append(label(grid.x0 + grid.width / 2, y + 15, text, "missing", "middle"))
    return parts


def _value(grid: Grid, start: float, end: float, y: float, ms: float, prefix: str = "", after: str = "") -> Html:
    """The duration: right of the bar, else left of it, else on it, where it fits."""
    text = f"{prefix}{figures.amount(ms)}" + (f" {after}" if after else "")
    room = CHARACTER * len(text) + 4
    if end + room <= grid.end:
        return label(end + 4, y, text, "value")
    if start - room >= grid.x0:
        return label(start - 4, y, text, "value", "end")
    return label(end - 4, y, text, "value inside", "end")


def _ticks(longest: float) -> list[float]:
    step = next((s * m for m in (0.1, 1, 10, 100, 1000, 10000) for s in (1, 2, 5) if longest / (s * m) <= 4), longest)
    return [round(step * i, 6) for i in range(int(longest / step) + 1)] if step else [0.0]


def _count(trace: Trace, none: str = "no spans, as expected") -> str:
    if not trace.received and not trace.extra:
        return none
    if trace.traces == 1:
        return f"{trace.received} of {trace.reference} spans, one trace"
    return f"{trace.received} of {trace.reference} spans in {trace.traces} traces"


def _causes(shown: Sequence[Trace]) -> Html | None:
    found = dict.fromkeys(
        (trace.form, row.match, row.cause or "cause unknown") for trace in shown for row in trace.rows if row.missing
    )
    return listed([join((tag("b", form), f" {match}: {cause}")) for form, match, cause in found])
