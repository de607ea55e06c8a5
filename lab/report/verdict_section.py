"""The verdict card: one line per form, form against form, and the claims that this run does not support."""

from __future__ import annotations

from collections.abc import Mapping

from lab.model import figures
from lab.model.metrics import METRICS, headline
from lab.model.summary import Sentence, Summary, Verdict
from lab.model.summary_form import FormSummary
from lab.report import phrases
from lab.report.form_style import Look, bar, looks, swatch
from lab.report.markup import Html, join, link, listed, part, tag


def section(summary: Summary) -> Html:
    look = looks(summary)
    alone = [line for line in summary.lines if line.against == "baseline"]
    pairs = [line for line in summary.lines if line.against != "baseline"]
    titles = ("", *(METRICS[name].on(summary.clock) for name in headline(summary.clock)), "spans received", "verdict")
    head = tag("div", *(tag("span", title) for title in titles))
    head = Html(head.replace("<div>", '<div class="row head">', 1))
    return part(
        "verdict",
        "In one minute",
        "Each form against the same service without instrumentation, on this machine, in this run.",
        _first(summary),
        tag("div", head, *(_alone(summary, line, look) for line in alone), class_="card"),
        tag("div", *(_pair(summary, line, look) for line in pairs), class_="card pairs") if pairs else None,
        _left_out(summary),
        _ruler(summary),
        _limits(summary),
    )


def _first(summary: Summary) -> Html | None:
    """Warnings before any figure: files that changed since they were sealed, failed proofs."""
    warnings = [*(f"Problem of the run: {one}" for one in summary.problems), *phrases.unproven(summary)]
    return listed(warnings, "unproven")


def _alone(summary: Summary, line: Sentence, look: Mapping[str, Look]) -> Html:
    name = line.form
    form = summary.forms[name]
    rows = [summary.verdict(name, "baseline", metric) for metric in headline(summary.clock)]
    who = tag(
        "div",
        tag("h3", swatch(look[name]), name),
        tag("p", form.title),
        tag("p", tag("span", form.mechanism.replace("-", " "), class_="chip"), class_="chips"),
        class_="who",
    )
    return tag("div", who, *(_big(row, line.word) for row in rows), _spans(form), _word(line, rows[0]), class_="row")


def _left_out(summary: Summary) -> Html | None:
    """Requested forms without figures."""
    return listed(
        [join((tag("b", one.form), f" was not built: {one.reason}. Fix: {one.fix}.")) for one in summary.left_out]
    )


def _big(row: Verdict | None, word: str) -> Html:
    """A figure in a row with this word; its own one where it differs."""
    own = row.beside(word) if row else ""
    if row is None or row.effect_pct is None:
        # the full reason is shown once, under the verdict
        why = own or row.reasons[0].partition(" (")[0] if row else "not measured"
        return tag("div", tag("b", figures.NONE), tag("small", why), class_="big")
    said = tag("small", own) if own else None
    under = ""
    if isinstance(row.value, (int, float)):
        before, unit = row.reference_value, METRICS[row.metric].unit
        under = (
            f"{figures.amount(before)} → {figures.amount(row.value)} {unit}" if before else figures.amount(row.value)
        )
    elif row.types:
        under = f"over {figures.plural(len(row.types), 'request type')}"
    if row.lost:
        noise = tag("small", figures.stated(row.effect_pct, row.lost))
        return tag("div", tag("b", figures.NONE), noise, said, class_="big")
    if row.low_pct is not None or row.range_pct:
        under = f"{phrases.interval(row)}; {under}"
    return tag("div", tag("b", figures.effect(row.effect_pct)), tag("small", under), said, class_="big")


def _spans(form: FormSummary) -> Html:
    cover, conform = form.coverage, form.conformance
    if cover.not_counted:
        return tag("div", tag("b", figures.NONE), tag("small", f"not counted: {cover.not_counted}"), class_="big spans")
    wanted = f"{cover.received:,} of {cover.reference:,} reference spans"
    known = f"{figures.share(conform.ratio)} of the expected spans"
    text = f"{wanted}; {known if conform.ratio is not None else conform.not_counted}"
    return tag("div", tag("b", figures.share(cover.ratio)), bar(cover.ratio), tag("small", text), class_="big spans")


def _word(line: Sentence, row: Verdict | None) -> Html:
    reasons = row.reasons if row else []
    evidence = row.evidence[0] if row and row.evidence else ""
    return tag(
        "div",
        _tag(line.word),
        tag("small", "; ".join(reasons)),
        tag("small", link(evidence, "evidence")) if evidence else None,
        class_="verdict",
    )


def _tag(word: str) -> Html:
    slug = word.lower().replace(" ", "-").replace("'", "")
    return tag("span", word, class_=f"word w-{slug}")


def _pair(summary: Summary, line: Sentence, look: Mapping[str, Look]) -> Html:
    """Form against form: only over request types in which both delivered the same spans."""
    form, against = line.form, line.against
    cells = []
    for metric in headline(summary.clock):
        row = summary.verdict(form, against, metric)
        if row is None:
            continue
        name = phrases.heading(METRICS[metric].on(summary.clock))
        if row.effect_pct is None:
            cells.append(tag("p", tag("b", name), f": {row.beside(line.word) or row.reasons[0]}"))
        else:
            over = f" over {', '.join(row.types)}" if row.types else ""
            own = row.beside(line.word)
            what = f" {figures.stated(row.effect_pct, row.lost)}{over}{own and f', {own}'}"
            cells.append(tag("p", tag("b", name), what))
    title = tag("h3", swatch(look[form]), form, tag("i", " against "), swatch(look[against]), against)
    return tag("div", title, tag("div", *cells), tag("div", _tag(line.word)), class_="pair")


def _ruler(summary: Summary) -> Html | None:
    """One sentence each on the twin and the controls: the resolution of this run."""
    found = []
    if twin := summary.controls.twin:
        parts = [
            f"{METRICS[m].on(summary.clock)} {figures.stated(twin[m].effect_pct, twin[m].lost)}"
            for m in headline(summary.clock)
            if m in twin
        ]
        found.append(
            join((tag("b", "The twin"), " is the baseline under a second name. Its effect should be 0 %; it is ",
                  ", ".join(parts), "."))
        )  # fmt: skip
    for control, what in ((summary.controls.delay_cpu, "extra CPU"), (summary.controls.delay_wait, "extra waiting")):
        if control and control.realised_pct is not None:
            found.append(
                join((tag("b", f"A known {what}"), f" of {figures.effect(control.realised_pct)} was added to the",
                      f" baseline. The lab measured {figures.stated(control.effect_pct, control.lost)}."))
            )  # fmt: skip
    return listed(found, "ruler")


def _limits(summary: Summary) -> Html:
    claims = tag("ul", *(tag("li", claim) for claim in summary.may_not_claim))
    return tag("aside", tag("h3", "Claims that this run does not support"), claims, class_="limits")
