"""The same request in each form, side by side, on one clock. Every reference span has its row, received or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lab.report import figures
from lab.report.look import Look, box, drawing, label, line, looks, marker
from lab.report.markup import Html, join, link, tag
from lab.report.markup import section as part

WIDTH: Final = 1120.0
NAMES_W: Final = 268.0
ROW_H: Final = 22.0
TOP: Final = 64.0
GAP: Final = 16.0
MARKS: Final = {"root": "lost its parent", "orphan": "parent never came", "moved": "other parent", "extra": "extra"}


def section(summary: Mapping[str, Any]) -> Html:
    types = list(dict.fromkeys(trace["type"] for trace in summary["traces"]))
    look = looks(summary)
    return part(
        "waterfalls",
        "What it shows",
        "One request of each type, sent once to every form before any load. A row is a span that a person "
        "instrumenting this service by hand would want. Same row, same span; same clock in every column.",
        _legend(),
        *(_request(kind, summary, look) for kind in types),
        None if types else tag("p", "No canary request was recorded.", class_="empty"),
    )


def _legend() -> Html:
    def sample(css: str, said: str) -> Html:
        swatch = tag("svg", box(1, 3, 30, 10, css), viewBox="0 0 32 16", class_="key", aria_hidden="true")
        return tag("span", swatch, said)

    return tag(
        "p",
        sample("bar-server c-ink", "server span"),
        sample("bar-client c-ink", "client span"),
        sample("bar-missing", "missing"),
        sample("bar-lost c-ink", "wrong or lost parent"),
        sample("bar-extra", "extra: nobody asked for it"),
        sample("bar-request", "the request, as its sender saw it"),
        class_="legend",
    )


def _request(kind: str, summary: Mapping[str, Any], look: Mapping[str, Look]) -> Html:
    found = [trace for trace in summary["traces"] if trace["type"] == kind]
    shown = [trace for trace in found if summary["forms"][trace["form"]]["role"] in {"baseline", "instrumented"}]
    if not shown:
        return Html("")
    rows = shown[0]["rows"]
    extras = max(len(trace["extra"]) for trace in shown)
    height = TOP + ROW_H * (len(rows) + 1 + extras) + 26
    longest = max([trace["request_ms"] for trace in shown] + [_end(trace) for trace in shown])
    column = (WIDTH - NAMES_W) / len(shown)
    parts = _names(rows, extras)
    for index, trace in enumerate(shown):
        parts += _column(trace, look[trace["form"]], NAMES_W + index * column, column - GAP, longest, height)
    said = f"Spans of one {kind} request in {', '.join(trace['form'] for trace in shown)}, on one time axis."
    return tag(
        "figure",
        tag("figcaption", tag("b", kind), _said(shown)),
        tag("div", drawing(WIDTH, height, said, *parts), class_="scroll"),
        _causes(shown),
    )


def _end(trace: Mapping[str, Any]) -> float:
    spans = [span for row in trace["rows"] for span in row["spans"]] + list(trace["extra"])
    return max((span["start_ms"] + span["duration_ms"] for span in spans), default=0.0)


def _said(shown: Sequence[Mapping[str, Any]]) -> Html:
    return join(
        tag("span", f"{trace['form']} {trace['received']}/{trace['reference']} ", link(trace["evidence"], "file"))
        for trace in shown
        if trace["received"] or trace["extra"]
    )


def _names(rows: Sequence[Mapping[str, Any]], extras: int) -> list[Html]:
    """The left column: the tree, one row a span."""
    parts = [label(0, TOP + ROW_H - 8, "request", "name dim")]
    for index, row in enumerate(rows):
        y = TOP + ROW_H * (index + 1)
        x = 8 + 11.0 * row["depth"]
        if row["depth"]:
            parts.append(tag("path", d=f"M{x - 7:.1f} {y + 3:.1f}v8h5", class_="branch"))
        parts.append(label(x, y + 15, _short(row), "name"))
        parts.append(label(NAMES_W - 14, y + 15, row["kind"], "kind", "end"))
        parts.append(line(0, y, WIDTH, y, "rule"))
    if extras:
        y = TOP + ROW_H * (len(rows) + 1)
        parts += [line(0, y, WIDTH, y, "rule"), label(8, y + 15, "beyond the reference", "name dim")]
    return parts


def _short(row: Mapping[str, Any]) -> str:
    name = str(row["match"]).removeprefix("shop.")
    # what is left of the kind at the right end, at about 6.9 units a character
    room = int((NAMES_W - 90 - 11 * int(row["depth"])) / 6.95)
    return name if len(name) <= room else name[: room - 1] + "…"


def _column(trace: Mapping[str, Any], look: Look, x0: float, width: float, longest: float, height: float) -> list[Html]:
    def at(ms: float) -> float:
        return x0 + max(0.0, min(ms / longest, 1.0)) * width if longest else x0

    bottom = height - 20
    parts = [marker(look, x0 + 6, 14, 5), label(x0 + 18, 18, trace["form"], "head")]
    parts.append(label(x0, 38, _count(trace), "note"))
    for ms in _ticks(longest):
        parts.append(line(at(ms), TOP - 6, at(ms), bottom, "grid"))
        parts.append(label(at(ms), bottom + 14, f"{ms:g}" + (" ms" if ms == 0 else ""), "tick", "middle"))
    parts.append(box(at(0), TOP + 4, at(trace["request_ms"]) - at(0), ROW_H - 9, "bar-request"))
    parts.append(_value(at(trace["request_ms"]), x0 + width, TOP + 15, trace["request_ms"], at(0)))
    for index, row in enumerate(trace["rows"]):
        parts += _row(row, look, at, TOP + ROW_H * (index + 1), x0, width, instrumented=bool(trace["received"]))
    for index, span in enumerate(trace["extra"]):
        y = TOP + ROW_H * (len(trace["rows"]) + 1 + index)
        end = span["start_ms"] + span["duration_ms"]
        title = f"{span['operation']}: {MARKS[span['mark']]}, {figures.amount(span['duration_ms'])} ms"
        parts.append(
            box(at(span["start_ms"]), y + 5, max(at(end) - at(span["start_ms"]), 2), ROW_H - 10, "bar-extra", title)
        )
        parts.append(label(min(at(end) + 4, x0 + width - 90), y + 15, f"+ {span['operation']}"[:18], "value"))
    return parts


def _row(
    row: Mapping[str, Any], look: Look, at: Any, y: float, x0: float, width: float, *, instrumented: bool
) -> list[Html]:
    """A span, or its empty place."""
    parts: list[Html] = []
    kind = "client" if row["kind"].endswith("client") else "server"
    for span in row["spans"]:
        start, end = at(span["start_ms"]), at(span["start_ms"] + span["duration_ms"])
        wrong = span["mark"] != "ok"
        css = f"bar-lost {look.css}" if wrong else f"bar-{kind} {look.css}"
        title = f"{span['name']} · {span['service']} · {figures.amount(span['duration_ms'])} ms"
        parts.append(
            box(
                start,
                y + 4,
                max(end - start, 1.5),
                ROW_H - 8,
                css,
                title + (f" · {MARKS[span['mark']]}" if wrong else ""),
            )
        )
    if row["spans"]:
        last = row["spans"][-1]
        end, start = at(last["start_ms"] + last["duration_ms"]), at(row["spans"][0]["start_ms"])
        took = sum(span["duration_ms"] for span in row["spans"])
        odd = next((span["mark"] for span in row["spans"] if span["mark"] != "ok"), None)
        prefix = f"{len(row['spans'])}{figures.TIMES} " if len(row["spans"]) > 1 else ""
        parts.append(_value(end, x0 + width, y + 15, took, start, prefix, MARKS[odd] if odd else ""))
    if row["missing"] and instrumented:
        parts.append(
            box(x0 + 1, y + 4, width - 2, ROW_H - 8, "bar-missing", row["cause"] or "not expected to be missing")
        )
        few = f"{row['missing']}{figures.TIMES} " if row["missing"] > 1 else ""
        said = f"{few}missing" + ("" if row["known"] else ", unexpectedly")
        parts.append(label(x0 + width / 2, y + 15, said, "missing", "middle"))
    return parts


def _value(end: float, limit: float, y: float, ms: float, start: float, prefix: str = "", after: str = "") -> Html:
    """The duration: right of the bar, or left of it where there is no room."""
    said = f"{prefix}{figures.amount(ms)}" + (f" {after}" if after else "")
    if end + 6.2 * len(said) + 4 > limit:
        return (
            label(start - 4, y, said, "value", "end")
            if start - 6.2 * len(said) > limit - 260
            else label(end - 4, y, said, "value inside", "end")
        )
    return label(end + 4, y, said, "value")


def _ticks(longest: float) -> list[float]:
    step = next((s * m for m in (0.1, 1, 10, 100, 1000, 10000) for s in (1, 2, 5) if longest / (s * m) <= 4), longest)
    return [round(step * i, 6) for i in range(int(longest / step) + 1)] if step else [0.0]


def _count(trace: Mapping[str, Any]) -> str:
    if not trace["received"] and not trace["extra"]:
        return "no spans, as it should be"
    if trace["traces"] == 1:
        return f"{trace['received']} of {trace['reference']} spans, one trace"
    return f"{trace['received']} of {trace['reference']} spans in {trace['traces']} traces"


def _causes(shown: Sequence[Mapping[str, Any]]) -> Html | None:
    found = dict.fromkeys(
        (trace["form"], row["match"], row["cause"] or "cause unknown")
        for trace in shown
        if trace["received"]
        for row in trace["rows"]
        if row["missing"]
    )
    if not found:
        return None
    return tag(
        "ul", *(tag("li", tag("b", form), f" {match}: {cause}") for form, match, cause in found), class_="causes"
    )
