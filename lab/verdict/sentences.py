"""The run in sentences: its results, and the claims that it does not support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.guest.wire import COUNTED
from lab.model.figures import amount, effect, interval, share, stated
from lab.model.metrics import METRICS, headline
from lab.model.summary import UNSAFE, Sentence, Summary, Verdict
from lab.model.summary_form import FormSummary, Misplaced, MissingSpans
from lab.verdict.controls import undecided
from lab.verdict.rules import EARNED, IMPLAUSIBLE

SAVED: Final = {"cpu": "CPU", "latency": "time"}


def lines(summary: Summary) -> tuple[Sentence, ...]:
    """One entry per instrumented form, then one per pair of forms with different mechanisms."""
    forms = summary.forms
    pairs = dict.fromkeys((row.form, row.against) for row in summary.verdicts if row.against != "baseline")
    return (
        *(
            _line(summary, name, "baseline", _spans(form))
            for name, form in forms.items()
            if form.role == "instrumented"
        ),
        *(_line(summary, a, b, ("", "")) for a, b in pairs if forms[a].mechanism != forms[b].mechanism),
    )


def _line(summary: Summary, form: str, against: str, spans: tuple[str, str]) -> Sentence:
    """Valid metrics first, then the INVALID ones, each reason once. spans: their result, or why there is none."""
    rows = [row for metric in headline(summary.clock) if (row := summary.verdict(form, against, metric))]
    void: dict[str, list[str]] = {}
    for row in rows:
        if row.word == "INVALID":
            void.setdefault(row.reasons[0], []).append(METRICS[row.metric].on(summary.clock))
    if spans[1]:
        void.setdefault(spans[1], []).append("spans")
    # the line has the word of the first metric, CPU or instructions per request: it is none of another metric's
    word = rows[0].word if rows else "INVALID"
    parts = [part for part in (*(_part(row, word, summary.clock) for row in rows), spans[0]) if part]
    parts += [f"{' and '.join(what)} INVALID: {why}" for why, what in void.items()]
    return Sentence(form=form, against=against, word=word, text="; ".join(parts) + ".")


def _part(row: Verdict, word: str, clock: str) -> str:
    """The text of a metric in a line with this word; "" for an INVALID one, whose reason is at the end of the line."""
    name = METRICS[row.metric].on(clock)
    if row.word == "INVALID":
        return ""
    if row.effect_pct is None:
        return f"{name}: {row.word}, {row.reasons[0]}"
    over = f" (over {', '.join(row.types)})" if row.types and row.unequal else ""
    doubt = f", {IMPLAUSIBLE}" if _doubts(row) else ""
    shown = "" if row.lost or row.low_pct is None else f" ({interval(row.low_pct, row.high_pct)})"
    if row.range_pct and not row.lost:
        shown = f" ({interval(*row.range_pct)} by one garbage collection)"
    own = row.beside(word) or (row.reasons[0] if row.word == "CAN'T TELL" else "")
    doubt = "" if doubt and doubt[2:] in own else doubt
    return f"{name} {stated(row.effect_pct, row.lost)}{shown}{over}{doubt}{own and f', {own}'}"


def _doubts(row: Verdict) -> list[str]:
    return [reason for reason in row.reasons if reason.startswith(IMPLAUSIBLE)]


def _spans(form: FormSummary) -> tuple[str, str]:
    """(result of the spans, why they were not counted): one of them is ""."""
    cover, conform = form.coverage, form.conformance
    if cover.not_counted:
        return "", cover.not_counted
    requests = sum(form.requests.values())
    if not cover.reference:
        return f"the reference has no spans for {requests:,} requests", ""
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
    return ": root of a separate trace" if entry.roots == entry.count else ""


def may_not_claim(summary: Summary) -> tuple[str, ...]:
    """The claims that the run does not support."""
    found = []
    if summary.grade.word == "emulated":
        found.append("times or CPU figures of real hardware: the CPU was emulated in software")
        found.append("the cost of a single uprobe: the trap itself was emulated")
    shown = headline(summary.clock)
    if summary.clock == COUNTED:
        unseen = "a count of instructions does not include caches, wake-ups, traps and lock contention"
        found.append(f"any duration: {unseen}")
        found += _traps(summary)
    found += [f"anything about {name}: its proof failed ({why})" for name, why in summary.unproven.items()]
    found += _not_established(summary)
    found += [f"anything about {kind}: no request of it was sent" for kind in summary.provenance.never_sent]
    found += _twin(summary)
    found += [f"anything about {entry.form}: it was not built" for entry in summary.left_out]
    for row in summary.verdicts:
        if row.metric in shown:
            what = f"{row.form} saves {SAVED[METRICS[row.metric].families[0]]}"
            found += [f"that {what}: {reason}" for reason in _doubts(row)]
    found += [
        f"that {name} was warm: its requests took {form.cold.slower_pct:.0f} % longer in the first third of a cell than"
        f" in the last, in {form.cold.cells} of {form.cold.of} cells; raise the scenario's warmup_requests"
        for name, form in summary.forms.items()
        if form.cold is not None
    ]
    found += _controls(summary)
    for row in summary.verdicts:
        if row.primary and row.word in UNSAFE:
            what = METRICS[row.metric].on(summary.clock)
            found.append(f"how much {row.form} differs from {row.against} in {what}: {row.word}, {row.reasons[0]}")
    for row in summary.verdicts:
        if row.against != "baseline" and row.metric == shown[0] and row.word == "NOT COMPARABLE":
            found.append(f"that {row.form} or {row.against} costs less: {row.reasons[0]}")
    p99 = [row for row in summary.verdicts if row.metric == "latency_p99_ms"]
    if all(row.effect_pct is None for row in p99):
        reasons = dict.fromkeys(str(row.reasons[0]) for row in p99)
        found.append(f"anything about p99: {'; '.join(reasons) or 'no form was compared'}")
    unknown = sum(entry.count for form in summary.forms.values() for entry in _surprises(form))
    if unknown:
        found.append(f"that the missing spans are explained: {unknown:,} are missing without a known cause")
    return tuple(dict.fromkeys(found))  # one reason may stand at several levels


def _not_established(summary: Summary) -> list[str]:
    """Why comparisons are INDICATIVE, each reason once, with those of which it is true where others have a verdict."""
    if all(row.effect_pct is None for row in summary.verdicts):
        return ["that a difference is established: no comparison has a figure"]
    rows = [row for row in summary.verdicts if row.primary]
    found: dict[str, list[Verdict]] = {}
    for row in rows:
        if row.word == "INDICATIVE":
            why = "; ".join(reason for reason in row.reasons if reason not in _doubts(row))
            found.setdefault(why, []).append(row)
    if len(found) == 1 and not any(row.word in EARNED for row in rows):
        return [f"that a difference is established: {why}" for why in found]
    what = "that a difference is established"
    return [f"{what} between {_between(of, summary.clock)}: {why}" for why, of in found.items()]


def _between(rows: Sequence[Verdict], clock: str) -> str:
    """ebpf and baseline in CPU per request and median latency, …"""
    pairs: dict[str, list[str]] = {}
    for row in rows:
        pairs.setdefault(f"{row.form} and {row.against}", []).append(METRICS[row.metric].on(clock))
    return ", ".join(f"{pair} in {' and '.join(of)}" for pair, of in pairs.items())


def _traps(summary: Summary) -> list[str]:
    """What each request's traps would take on the host's CPU."""
    trap_ns = summary.provenance.trap_ns
    found = []
    for name, form in summary.forms.items():
        if not form.probe_hits:
            continue
        took = "what a trap takes on this host was not measured"
        if trap_ns is not None:
            whole = amount(form.probe_hits * trap_ns / 1e3)
            took = f"a trap takes {amount(trap_ns / 1e3)} µs of this host's CPU, so about {whole} µs per request more"
        found.append(f"the whole cost of {name}: a request hits {amount(form.probe_hits)} probes; {took}")
    return found


def _controls(summary: Summary) -> list[str]:
    """The metrics whose control has no figure or was not detected, or too few blocks where a comparison has enough."""
    found = []
    enough = any(row.primary and row.blocks >= summary.fewest_blocks for row in summary.verdicts)
    counted = summary.clock == COUNTED
    for metric in (METRICS[name] for name in headline(summary.clock) if METRICS[name].kind == "work" or not counted):
        delay = getattr(summary.controls, f"delay_{metric.control}")
        why = summary.controls.absent.get(metric.control, {}).get(metric.name, "") if delay is None else ""
        if delay is not None and delay.seen is None and enough:
            why = f"{delay.form} {undecided(delay, summary.fewest_blocks)}"
        if delay is not None and delay.seen is False:
            why = f"{delay.form} added {effect(delay.realised_pct)}, which its interval does not show"
        if why:
            found.append(f"that a small difference in {metric.on(summary.clock)} would be detected: {why}")
    return found


def _surprises(form: FormSummary) -> list[MissingSpans]:
    return [entry for entry in form.conformance.missing if not entry.known or entry.cause == "unknown"]


def _twin(summary: Summary) -> list[str]:
    shown, why = headline(summary.clock), summary.controls.absent.get("twin", {})
    effects = {m: e for m, e in summary.controls.twin.items() if m in shown}
    if not effects:
        return [f"the size of the noise: {why.get(shown[0], 'no twin ran')}"]
    parts = [f"{METRICS[metric].on(summary.clock)} {read.widest_pct:.1f} %" for metric, read in effects.items()]
    absent = [metric for metric in shown if metric not in effects]
    return [f"any difference smaller than that of the twin may be ({', '.join(parts)})"] + [
        f"the size of the noise in {METRICS[metric].on(summary.clock)}: {why.get(metric, 'no twin ran')}"
        for metric in absent
    ]
