"""The run's gates as JUnit XML for CI. A verdict word is never a failure; a broken run is."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # written here, never parsed
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lab.model import figures
from lab.model.summary import CellAttempt, Summary
from lab.report import phrases
from lab.report.markup import clean

FULL: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case: `failure` or `skipped` is the reason; both empty: passed."""

    suite: str
    name: str
    seconds: float = 0.0
    failure: str = ""
    skipped: str = ""
    said: str = ""


def junit(summary: Summary) -> str:
    """Suites: run (its files), proofs, cells (gates), spans (conformance, known parents), claims (never failing)."""
    cases = [*_run(summary), *_proofs(summary), *_cells(summary), *_spans(summary), *_claims(summary)]
    root = ET.Element("testsuites", {"name": clean(summary.run_id), **_counts(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        members = [case for case in cases if case.suite == suite]
        node = ET.SubElement(root, "testsuite", {"name": suite, **_counts(members)})
        for case in members:
            _write(node, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(cases: list[Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "skipped": str(sum(bool(case.skipped) for case in cases)),
        "errors": "0",
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _write(node: ET.Element, case: Case) -> None:
    made = ET.SubElement(node, "testcase", classname=case.suite, name=clean(case.name), time=f"{case.seconds:.3f}")
    if case.failure:
        ET.SubElement(made, "failure", message=clean(case.failure, 2000))
    if case.skipped:
        ET.SubElement(made, "skipped", message=clean(case.skipped, 2000))
    if case.said:
        ET.SubElement(made, "system-out").text = clean(case.said, 2000)


def _run(summary: Summary) -> Iterator[Case]:
    yield Case(suite="run", name="complete, and unchanged since it was sealed", failure="; ".join(summary.problems))


def _proofs(summary: Summary) -> Iterator[Case]:
    for name, form in summary.forms.items():
        proof = form.proof
        failure = f"proof FAILED: {proof.reason}" if proof.ok is False else ""
        skipped = "no proof was recorded" if proof.ok is None else ""
        gaps = f"differs from the reference: {proof.gaps}" if proof.gaps else ""
        yield Case(suite="proofs", name=name, failure=failure, skipped=skipped, said=gaps)


def _cells(summary: Summary) -> Iterator[Case]:
    """One case per planned cell: a saturated attempt, or an INVALID one with a valid rerun, is reported, not failed."""
    by_cell: dict[str, list[CellAttempt]] = {}
    for attempt in summary.timeline:
        by_cell.setdefault(attempt.cell, []).append(attempt)
    for name, attempts in by_cell.items():
        last = attempts[-1]
        doubts = [doubt for attempt in attempts for doubt in attempt.disagreements]
        settled = any(attempt.settled for attempt in attempts)
        reasons = "; ".join(reason for attempt in attempts for reason in attempt.reasons)
        worth = "; ".join(dict.fromkeys(phrases.void(attempt) for attempt in attempts))
        failure = "" if settled else f"{worth}: {reasons or 'no reason given'}"
        yield Case(
            suite="cells",
            name=name,
            seconds=sum(attempt.end_s - attempt.start_s for attempt in attempts),
            failure=failure or ("; ".join(doubts) if doubts else ""),
            said=f"{last.completed} of {last.scheduled} answered; {len(attempts)} attempts; {reasons}",
        )
    for entry in summary.left_out:
        yield Case(suite="cells", name=f"{entry.form}: not built", failure=entry.reason)
    absent = summary.cells.planned - len(by_cell)
    if absent > 0:
        why = "".join(f"; {name}: {reason}" for name, reason in summary.unproven.items())
        failure = f"{absent} of {summary.cells.planned}{why}"
        yield Case(suite="cells", name="cells that did not run", failure=failure)


def _spans(summary: Summary) -> Iterator[Case]:
    for name, form in summary.forms.items():
        if form.role != "instrumented":
            continue
        cover, conform = form.coverage, form.conformance
        if conform.ratio is None:
            # a gap without an expectation is a result, not a failure
            lost = "; ".join(f"{e.count} of {e.of} {e.kind} missing" for e in conform.missing)
            moved = "; ".join(f"{e.count} of {e.of} {e.kind} misplaced" for e in cover.misplaced)
            gaps = "; ".join(part for part in (lost, moved) if part)
            yield Case(suite="spans", name=f"{name}: conformance", skipped=conform.not_counted, said=gaps)
            continue
        lost = "; ".join(f"{e.count} {e.kind}: {e.cause}" for e in conform.missing if not e.known)
        failure = "" if conform.ratio >= FULL else f"{conform.received} of {conform.expected} expected spans; {lost}"
        yield Case(suite="spans", name=f"{name}: conformance", failure=failure)
        parents = conform.parents_ok
        none = "no spans received" if parents is None else ""
        wrong = (
            f"{1 - parents:.2%} of spans under an unexpected parent" if parents is not None and parents < FULL else ""
        )
        yield Case(suite="spans", name=f"{name}: parents", failure=wrong, skipped=none)


def _claims(summary: Summary) -> Iterator[Case]:
    for row in summary.verdicts:
        effect = "no figure" if row.effect_pct is None else f"{row.effect_pct:+.2f} %"
        effect = figures.stated(row.effect_pct, row.lost) if row.lost else effect
        name = f"{row.form} against {row.against}: {row.metric}{phrases.level(summary, row)}"
        skipped = row.word if row.word in {"INVALID", "NOT COMPARABLE"} else ""
        yield Case(suite="claims", name=name, skipped=skipped, said=f"{row.word}: {effect}; {'; '.join(row.reasons)}")
