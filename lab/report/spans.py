"""Spans under load: coverage of the hand-written reference, conformance with the expectation, missing spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.summary import Summary
from lab.model.summary_form import Cover
from lab.report.form_style import Look, bar, looks, swatch
from lab.report.markup import Html, join, link, listed, number, part, table, tag


def section(summary: Summary) -> Html:
    look = looks(summary)
    names = [name for name, form in summary.forms.items() if form.role == "instrumented"]
    if not names:
        return part("spans", "Spans under load", "No form of this run is instrumented.")
    return part(
        "spans",
        "Spans under load",
        "Coverage: the share of the reference spans that were received. Conformance: the share of the spans expected "
        "of this form that were received. Measured requests only, without canary and warm-up.",
        _scores(summary, names, look),
        _clocks(summary, names),
        tag("h3", "By request type"),
        _matrix(summary, names, look),
        tag("h3", "Missing spans and causes"),
        _missing(summary, names),
        _beyond(summary, names),
    )


def _scores(summary: Summary, names: Sequence[str], look: Mapping[str, Look]) -> Html:
    simulated = f" ({figures.simulated(summary.clock).strip()})" if summary.clock == COUNTED else ""
    rows = []
    for name in names:
        form = summary.forms[name]
        cover, conform = form.coverage, form.conformance
        rows.append(
            (join((swatch(look[name]), name)), number(_of(cover.received, cover.reference)),
             number(figures.share(cover.ratio)), number(figures.share(cover.parents_ok)),
             number(_of(conform.received, conform.expected)), number(figures.share(conform.ratio)),
             number(figures.share(conform.parents_ok)), number(figures.count(conform.orphans)),
             number(figures.seconds(form.attach_s)), number(figures.seconds(form.time_to_first_span_s)))
        )  # fmt: skip
    head = ("form", "received / reference", "coverage", "parents right", "received / expected", "conformance",
            "parents as expected", "orphans", f"attached in{simulated}", f"first span after{simulated}")  # fmt: skip
    return join((table(head, rows), _absent(summary, names)))


def _of(part: int | None, whole: int | None) -> str:
    return figures.NONE if part is None or whole is None else f"{part:,} / {whole:,}"


def _absent(summary: Summary, names: Sequence[str]) -> Html | None:
    """Why a score is missing, by form."""
    scores = [(name, summary.forms[name].coverage, summary.forms[name].conformance) for name in names]
    reasons = [
        f"{name}: {'spans were not counted' if cover.not_counted else 'no conformance'}: {conform.not_counted}"
        for name, cover, conform in scores
        if conform.not_counted
    ]
    return listed(reasons)


def _clocks(summary: Summary, names: Sequence[str]) -> Html:
    """Whether span timestamps of the forms had to be corrected."""
    early = [(name, summary.forms[name].clock_shift) for name in names]
    notes = [
        tag(
            "p",
            tag("b", name),
            f": in {figures.plural(shift.cells, 'cell')} the span timestamps were up to "
            f"{figures.amount(shift.max_ms)} {figures.simulated(summary.clock)}ms "
            "before the requests that caused them (the agent reads the kernel's "
            "clock offset once). The shift was corrected before counting. ",
            *(join((link(path, "evidence"), " ")) for path in shift.evidence),
        )
        for name, shift in early
        if shift.cells
    ]
    counted = [name for name in names if not summary.forms[name].coverage.not_counted]
    if not counted:
        return tag("p", "Span clocks: no spans were counted.", class_="note")
    if not notes:
        return tag("p", "Span clocks: no shift was corrected.", class_="note")
    return tag("div", *notes, class_="note")


def _matrix(summary: Summary, names: Sequence[str], look: Mapping[str, Look]) -> Html:
    types = list(dict.fromkeys(kind for name in names for kind in summary.forms[name].coverage.by_type))
    if not types:
        return tag("p", "No spans were counted.", class_="empty")
    rows = []
    for kind in types:
        cells: list[object] = [tag("th", tag("code", kind), scope="row")]
        for name in names:
            form = summary.forms[name]
            cells.append(_share_cell(form.coverage.by_type.get(kind)))
        rows.append(cells)
    return table(["request type", *(join((swatch(look[name]), name)) for name in names)], rows, class_="matrix")


def _share_cell(cover: Cover | None) -> Html:
    if cover is None:
        return tag("td", figures.NONE, class_="n")
    parents = cover.parents_ok
    odd = f" · parents {figures.share(parents)}" if parents is not None and parents < 1 else ""
    text = f"{figures.share(cover.ratio)} · {cover.received:,} of {cover.reference:,}{odd}"
    return tag("td", bar(cover.ratio), tag("small", text), class_="meter")


def _missing(summary: Summary, names: Sequence[str]) -> Html:
    rows = []
    for name in names:
        conform = summary.forms[name].conformance
        surprise = "unexpected" if conform.ratio is not None else "no expectation"
        for entry in conform.missing:
            known = tag("span", "known" if entry.known else surprise, class_="chip" if entry.known else "chip bad")
            where = ", ".join(entry.nodes)
            rows.append((name, entry.kind, number(f"{entry.count:,} of {entry.of:,}"), known, entry.cause, where))
        for moved in summary.forms[name].coverage.misplaced:
            roots = f", {moved.roots:,} as root of a separate trace" if moved.roots else ""
            what = tag("span", "wrong parent", class_="chip")
            share = number(f"{moved.count:,} of {moved.of:,}{roots}")
            rows.append((name, moved.kind, share, what, moved.cause, ", ".join(moved.nodes)))
    head = ("form", "kind", "missing or misplaced", "", "cause", "where")
    return join((table(head, rows) if rows else "", *(_complete(summary, name) for name in names)))


def _complete(summary: Summary, name: str) -> Html:
    """A form without a row above: nothing is missing, the reference has no spans, or nothing was counted."""
    form = summary.forms[name]
    cover, requests = form.coverage, sum(form.requests.values())
    if cover.not_counted:
        text = f": not counted: {cover.not_counted}"
    elif form.conformance.missing or cover.misplaced:
        return Html("")
    elif not cover.reference:
        text = f": the reference has no spans for the {requests:,} counted requests."
    else:
        text = f": nothing is missing: all {cover.reference:,} reference spans of {requests:,} requests received."
    return tag("p", tag("b", name), text, class_="empty")


def _beyond(summary: Summary, names: Sequence[str]) -> Html | None:
    rows = []
    for name in names:
        conform = summary.forms[name].conformance
        rows += [(name, entry.span, number(f"{entry.count:,}"), "expected") for entry in conform.extra]
        rows += [(name, entry.span, number(f"{entry.count:,}"), "unexpected") for entry in conform.unexpected]
    if not rows:
        return None
    return join((tag("h3", "Spans beyond the reference"), table(("form", "span", "count", ""), rows)))
