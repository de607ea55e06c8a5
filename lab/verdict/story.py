"""The run in sentences: what a presenter may say, and what nobody may claim from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lab.model.figures import METRICS, effect, share
from lab.model.summary import Line, Summary, Verdict
from lab.model.summary_form import FormSummary, Misplaced, Missing
from lab.verdict.words import IMPLAUSIBLE

FAMILY_OF: Final = {
    "cpu_s_per_1k_requests": "cpu",
    "latency_p50_ms": "latency",
}
HEADLINE: Final = ("cpu_s_per_1k_requests", "latency_p50_ms")


def lines(forms: Mapping[str, FormSummary], verdicts: Sequence[Verdict]) -> tuple[Line, ...]:
    """One entry per instrumented form, then one per pair of forms: {form, against, word, text}."""
    found = [
        _line(name, "baseline", _of(verdicts, name, "baseline"), _spans(form))
        for name, form in forms.items()
        if form.role == "instrumented"
    ]
    pairs = dict.fromkeys((row.form, row.against) for row in verdicts if row.against != "baseline")
    for form, against in pairs:
        if forms[form].mechanism != forms[against].mechanism:
            found.append(_line(form, against, _of(verdicts, form, against), None))
    return tuple(found)


def _of(verdicts: Sequence[Verdict], form: str, against: str) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for row in verdicts:
        if row.form == form and row.against == against:
            found.setdefault(row.metric, row)  # the first level, as everywhere in the report
    return found


def _line(form: str, against: str, rows: Mapping[str, Verdict], spans: tuple[str, str] | None) -> Line:
    """What is valid first, then what is not, each reason once."""
    told = [_part(metric, rows[metric]) for metric in HEADLINE if metric in rows]
    void: dict[str, list[str]] = {}
    for metric in (metric for metric in HEADLINE if metric in rows and rows[metric].word == "INVALID"):
        void.setdefault(rows[metric].reasons[0], []).append(METRICS[metric])
    if spans is not None and spans[1]:
        void.setdefault(spans[1], []).append("spans")
    elif spans is not None:
        told.append(spans[0])
    parts = [part for part in told if part] + [f"{' and '.join(what)} INVALID: {why}" for why, what in void.items()]
    words = [rows[metric].word for metric in HEADLINE if metric in rows]
    # one word for the line: that of CPU per request, the first of the primary metrics
    return Line(form=form, against=against, word=words[0] if words else "INVALID", text="; ".join(parts) + ".")


def _part(metric: str, row: Verdict) -> str:
    """Empty for what is INVALID: its reason comes after all the rest."""
    name = METRICS[metric]
    if row.word == "INVALID":
        return ""
    if row.effect_pct is None:
        return f"{name}: {row.word}, {row.reasons[0]}"
    over = f" (over {', '.join(row.types)})" if row.types and row.unequal else ""
    doubt = f", {IMPLAUSIBLE}" if _doubts(row) else ""
    return f"{name} {effect(row.effect_pct)}{over}{doubt}"


def _doubts(row: Verdict) -> list[str]:
    return [reason for reason in row.reasons if reason.startswith(IMPLAUSIBLE)]


def _spans(form: FormSummary) -> tuple[str, str]:
    """What came of the spans, or why they were not counted."""
    cover, conform = form.coverage, form.conformance
    if cover.not_counted:
        return "", cover.not_counted
    requests = sum(form.requests.values())
    if not cover.reference:
        return f"no span was wanted of {requests:,} requests", ""
    whole = cover.received == cover.reference
    text = "every reference span" if whole else f"{share(cover.ratio)} of the reference spans"
    text += f" of {requests:,} requests"
    if conform.missing:
        text += ", missing " + " and ".join(dict.fromkeys(entry.kind for entry in conform.missing))
    if cover.parents_ok is not None and cover.parents_ok < 1:
        text += f", {share(1 - cover.parents_ok)} of spans under a wrong parent"
        kinds = dict.fromkeys(f"{entry.kind}{_roots(entry)}" for entry in cover.misplaced)
        text += f" ({', '.join(kinds)})"
    return text, ""


def _roots(entry: Misplaced) -> str:
    return ": a trace of its own" if entry.roots == entry.count else ""


def may_not_claim(summary: Summary) -> tuple[str, ...]:
    """What the run does not show, as sentences that complete "We may not claim …"."""
    found = []
    if summary.grade.word == "emulated":
        found.append("any of these times or CPU figures for real hardware: the CPU was emulated in software")
        found.append("what a single uprobe costs: the trap itself was emulated")
    found += [f"anything of {name}: its proof failed ({why})" for name, why in summary.unproven.items()]
    rows = [row for row in summary.verdicts if row.effect_pct is not None]
    blocks = max((row.blocks for row in rows), default=0)
    if blocks < summary.fewest_blocks:
        needed = f"a word needs {summary.fewest_blocks}"
        found.append(f"that a difference is established: {_blocks(blocks)} gave figures, {needed}")
    found += _twin(summary)
    found += [f"anything about {each.form}: it was not built" for each in summary.left_out]
    for row in summary.verdicts:
        if row.metric in HEADLINE:
            what = f"{row.form} saves {'CPU' if row.metric == HEADLINE[0] else 'time'}"
            found += [f"that {what}: {reason}" for reason in _doubts(row)]
    for delay, name, metric in (
        (summary.controls.delay_cpu, "delay-cpu", "CPU"),
        (summary.controls.delay_wait, "delay-wait", "latency"),
    ):
        if delay is None:
            why = _why_no_figure(summary, name, metric.lower())
            found.append(f"that a small difference in {metric} would have been seen: {why}")
    for row in summary.verdicts:
        if row.against != "baseline" and row.metric == HEADLINE[0] and row.word == "NOT COMPARABLE":
            found.append(f"that {row.form} or {row.against} is the cheaper one: {row.reasons[0]}")
    p99 = [row for row in summary.verdicts if row.metric == "latency_p99_ms"]
    if all(row.effect_pct is None for row in p99):
        reasons = dict.fromkeys(str(row.reasons[0]) for row in p99)
        found.append(f"anything about p99: {'; '.join(reasons) or 'no form was compared'}")
    unknown = sum(entry.count for form in summary.forms.values() for entry in _surprises(form))
    if unknown:
        found.append(f"that the missing spans are understood: {unknown:,} went missing without a known cause")
    return tuple(found)


def _surprises(form: FormSummary) -> list[Missing]:
    return [entry for entry in form.conformance.missing if not entry.known or entry.cause == "unknown"]


def _twin(summary: Summary) -> list[str]:
    name = next((name for name, form in summary.forms.items() if form.role == "twin"), "twin")
    effects = {m: e for m, e in summary.controls.twin.items() if m in HEADLINE}
    if not effects:
        return [f"how large the noise is: {_why_no_figure(summary, name, FAMILY_OF[HEADLINE[0]])}"]
    parts = [f"{METRICS[metric]} {abs(effect.effect_pct):.1f} %" for metric, effect in effects.items()]
    return [f"any difference smaller than the twin's own ({', '.join(parts)})"] + [
        f"how large the noise in {METRICS[metric]} is: {_why_no_figure(summary, name, FAMILY_OF[metric])}"
        for metric in HEADLINE
        if metric not in effects
    ]


def _why_no_figure(summary: Summary, name: str, family: str) -> str:
    """Why a control or the twin tells nothing: it did not run, its cells or the baseline's are void, or too few."""
    if name not in summary.forms:
        return f"no {name} ran" if name == "twin" else f"{name} did not run"
    base = next((form for form in summary.forms.values() if form.role == "baseline"), None)
    absent = [form.absent.get(family) for form in (summary.forms[name], base) if form]
    return next((why for why in absent if why), f"{name} and baseline have no valid block in common")


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"
