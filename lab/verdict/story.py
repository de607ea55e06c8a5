"""The run in sentences: what a presenter may say, and what nobody may claim from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lab.verdict.words import IMPLAUSIBLE

NAMES: Final = {
    "cpu_s_per_1k_requests": "CPU per request",
    "latency_p50_ms": "median latency",
    "latency_p90_ms": "p90 latency",
    "latency_p99_ms": "p99 latency",
    "rss_mib": "memory",
}
MINUS: Final = "\N{MINUS SIGN}"
FAMILY_OF: Final = {
    "cpu_s_per_1k_requests": "cpu",
    "latency_p50_ms": "latency",
    "delay_cpu": "cpu",
    "delay_wait": "latency",
}
HEADLINE: Final = ("cpu_s_per_1k_requests", "latency_p50_ms")


def lines(forms: Mapping[str, dict[str, Any]], verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per instrumented form, then one per pair of forms: {form, against, word, text}."""
    found = [
        _line(name, "baseline", _of(verdicts, name, "baseline"), _spans(form))
        for name, form in forms.items()
        if form["role"] == "instrumented"
    ]
    pairs = dict.fromkeys((row["form"], row["against"]) for row in verdicts if row["against"] != "baseline")
    for form, against in pairs:
        if forms[form]["mechanism"] != forms[against]["mechanism"]:
            found.append(_line(form, against, _of(verdicts, form, against), None))
    return found


def _of(verdicts: Sequence[dict[str, Any]], form: str, against: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in verdicts:
        if row["form"] == form and row["against"] == against:
            found.setdefault(row["metric"], row)  # the first level, as everywhere in the report
    return found


def _line(form: str, against: str, rows: Mapping[str, dict[str, Any]], spans: tuple[str, str] | None) -> dict[str, Any]:
    """What is valid first, then what is not, each reason once."""
    told = [_part(metric, rows[metric]) for metric in HEADLINE if metric in rows]
    void: dict[str, list[str]] = {}
    for metric in (metric for metric in HEADLINE if metric in rows and rows[metric]["word"] == "INVALID"):
        void.setdefault(rows[metric]["reasons"][0], []).append(NAMES[metric])
    if spans is not None and spans[1]:
        void.setdefault(spans[1], []).append("spans")
    elif spans is not None:
        told.append(spans[0])
    parts = [part for part in told if part] + [f"{' and '.join(what)} INVALID: {why}" for why, what in void.items()]
    words = [rows[metric]["word"] for metric in HEADLINE if metric in rows]
    return {
        "form": form,
        "against": against,
        # one word for the line: that of CPU per request, the first of the primary metrics
        "word": words[0] if words else "INVALID",
        "text": "; ".join(parts) + ".",
    }


def _part(metric: str, row: Mapping[str, Any]) -> str:
    """Empty for what is INVALID: its reason comes after all the rest."""
    name = NAMES[metric]
    if row["word"] == "INVALID":
        return ""
    if row["effect_pct"] is None:
        return f"{name}: {row['word']}, {row['reasons'][0]}"
    over = f" (over {', '.join(row['types'])})" if row["types"] and row["unequal"] else ""
    doubt = f", {IMPLAUSIBLE}" if _doubts(row) else ""
    return f"{name} {signed(row['effect_pct'])}{over}{doubt}"


def _doubts(row: Mapping[str, Any]) -> list[str]:
    return [reason for reason in row["reasons"] if reason.startswith(IMPLAUSIBLE)]


def signed(pct: float) -> str:
    """+38 %, -2.1 %: one decimal below ten, none above."""
    text = "0.0" if abs(pct) < 0.05 else f"{pct:+.1f}" if abs(pct) < 9.95 else f"{pct:+.0f}"
    return f"{text.replace('-', MINUS)} %"


def _spans(form: Mapping[str, Any]) -> tuple[str, str]:
    """What came of the spans, or why they were not counted."""
    cover, conform = form["coverage"], form["conformance"]
    if cover["not_counted"]:
        return "", cover["not_counted"]
    requests = sum(form["requests"].values())
    if not cover["reference"]:
        return f"no span was wanted of {requests:,} requests", ""
    whole = cover["received"] == cover["reference"]
    text = "every reference span" if whole else f"{share(cover['ratio'])} of the reference spans"
    text += f" of {requests:,} requests"
    if conform["missing"]:
        text += ", missing " + " and ".join(dict.fromkeys(entry["kind"] for entry in conform["missing"]))
    if cover["parents_ok"] is not None and cover["parents_ok"] < 1:
        text += f", {share(1 - cover['parents_ok'])} of spans under a wrong parent"
        kinds = dict.fromkeys(f"{entry['kind']}{_roots(entry)}" for entry in cover["misplaced"])
        text += f" ({', '.join(kinds)})"
    return text, ""


def _roots(entry: Mapping[str, Any]) -> str:
    return ": a trace of its own" if entry["roots"] == entry["count"] else ""


def share(ratio: float) -> str:
    """A share as per cent that never rounds up to a false 100 % nor down to a false 0 %."""
    if 0 < ratio < 1:
        return f"{min(max(ratio * 100, 0.1), 99.9):.1f} %"
    return f"{ratio * 100:.0f} %"


def may_not_claim(summary: Mapping[str, Any], fewest: int) -> list[str]:
    """What the run does not show, as sentences that complete "We may not claim …"."""
    found = []
    if summary["grade"]["word"] == "emulated":
        found.append("any of these times or CPU figures for real hardware: the CPU was emulated in software")
        found.append("what a single uprobe costs: the trap itself was emulated")
    found += [f"anything of {name}: its proof failed ({why})" for name, why in summary["unproven"].items()]
    rows = [row for row in summary["verdicts"] if row["effect_pct"] is not None]
    blocks = max((row["blocks"] for row in rows), default=0)
    if blocks < fewest:
        found.append(f"that a difference is established: {_blocks(blocks)} gave figures, a word needs {fewest}")
    found += _twin(summary)
    found += [f"anything about {each['form']}: it was not built" for each in summary["left_out"]]
    for row in summary["verdicts"]:
        if row["metric"] in HEADLINE:
            what = f"{row['form']} saves {'CPU' if row['metric'] == HEADLINE[0] else 'time'}"
            found += [f"that {what}: {reason}" for reason in _doubts(row)]
    for delay, metric in (("delay_cpu", "CPU"), ("delay_wait", "latency")):
        if delay not in summary["controls"]:
            name, family = delay.replace("_", "-"), FAMILY_OF[delay]
            why = _why_no_figure(summary, name, family)
            found.append(f"that a small difference in {metric} would have been seen: {why}")
    for row in summary["verdicts"]:
        if row["against"] != "baseline" and row["metric"] == HEADLINE[0] and row["word"] == "NOT COMPARABLE":
            found.append(f"that {row['form']} or {row['against']} is the cheaper one: {row['reasons'][0]}")
    p99 = [row for row in summary["verdicts"] if row["metric"] == "latency_p99_ms"]
    if all(row["effect_pct"] is None for row in p99):
        reasons = dict.fromkeys(str(row["reasons"][0]) for row in p99)
        found.append(f"anything about p99: {'; '.join(reasons) or 'no form was compared'}")
    unknown = sum(entry["count"] for form in summary["forms"].values() for entry in _surprises(form))
    if unknown:
        found.append(f"that the missing spans are understood: {unknown:,} went missing without a known cause")
    return found


def _surprises(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in form["conformance"]["missing"] if not entry["known"] or entry["cause"] == "unknown"]


def _twin(summary: Mapping[str, Any]) -> list[str]:
    name = next((name for name, form in summary["forms"].items() if form["role"] == "twin"), "twin")
    effects = {m: e for m, e in summary["controls"].get("twin", {}).items() if m in HEADLINE}
    if not effects:
        return [f"how large the noise is: {_why_no_figure(summary, name, FAMILY_OF[HEADLINE[0]])}"]
    parts = [f"{NAMES[metric]} {abs(effect['effect_pct']):.1f} %" for metric, effect in effects.items()]
    return [f"any difference smaller than the twin's own ({', '.join(parts)})"] + [
        f"how large the noise in {NAMES[metric]} is: {_why_no_figure(summary, name, FAMILY_OF[metric])}"
        for metric in HEADLINE
        if metric not in effects
    ]


def _why_no_figure(summary: Mapping[str, Any], name: str, family: str) -> str:
    """Why a control or the twin tells nothing: it did not run, its cells or the baseline's are void, or too few."""
    if name not in summary["forms"]:
        return f"no {name} ran" if name == "twin" else f"{name} did not run"
    base = next((form for form in summary["forms"].values() if form["role"] == "baseline"), None)
    absent = [form["absent"].get(family) for form in (summary["forms"][name], base) if form]
    return next((why for why in absent if why), f"{name} and baseline have no valid block in common")


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"
