"""The four published pillars: each claim, this run's measurement of it, the evidence and the confidence.

The claims are the conclusion of the FOSDEM 2026 talk "How to instrument Go without changing a single line of code",
one per pillar and mechanism, published without a figure. A cell without a measurement says "not measured".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lab.guest.scoring.gates import FAMILIES
from lab.model.figures import seconds, simulated, stated
from lab.model.metrics import METRICS, headline
from lab.model.paths import CELL_FILE, MANIFEST_FILE
from lab.model.run import Run
from lab.model.summary import UNSAFE, PillarClaim, Summary
from lab.model.summary_form import FormSummary
from lab.verdict.cells.observe import FormView

NOT_MEASURED: Final = "not measured"
CLAIMS: Final[dict[tuple[str, str], str]] = {
    ("performance", "compile-time"): "a one-time cost, paid when compiling",
    ("performance", "run-time"): "a cost at run time",
    ("safety", "compile-time"): "safe",
    ("safety", "run-time"): "privileged access to the kernel",
    ("portability", "compile-time"): "anything that compiles",
    ("portability", "run-time"): "Linux only",
    ("stability", "compile-time"): "needs only that it compiles",
    ("stability", "run-time"): "depends on computed offsets, memory and stack",
}


Said = tuple[list[str], list[str]]  # the measurements, and the files with the evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class PillarView:
    """The input of a pillar's measure: one form of the run."""

    run: Run
    form: FormView
    summary: FormSummary
    whole: Summary


def pillars(run: Run, forms: Mapping[str, FormView], summary: Summary) -> tuple[PillarClaim, ...]:
    """Eight rows, one per pillar and mechanism."""
    rows = []
    for (pillar, mechanism), claim in CLAIMS.items():
        measured: list[str] = []
        evidence: set[str] = set()
        for name, form in forms.items():
            if form.mechanism == mechanism:
                view = PillarView(run=run, form=form, summary=summary.forms[name], whole=summary)
                parts, files = _MEASURES[pillar](view)
                measured += [f"{name}: {part}" for part in parts]
                evidence |= set(files if parts else ())
        rows.append(
            PillarClaim(
                pillar=pillar,
                mechanism=mechanism,
                claim=claim,
                measured="; ".join(measured) or NOT_MEASURED,
                evidence=tuple(sorted(evidence)),
                confidence=_CONFIDENCE[pillar] if measured else "none",
            )
        )
    return tuple(rows)


def _performance(seen: PillarView) -> Said:
    parts = []
    for metric in headline(seen.whole.clock):
        row = seen.whole.verdict(seen.form.name, "baseline", metric)
        if row and row.effect_pct is not None:
            unsafe = f" ({row.word})" if row.word in UNSAFE else ""
            parts.append(f"{stated(row.effect_pct, row.lost)} {METRICS[metric].on(seen.whole.clock)}{unsafe}")
    if seen.summary.attach_s is not None:
        parts.append(f"attached in {simulated(seen.whole.clock)}{seconds(seen.summary.attach_s)}")
    if agent := seen.summary.memory.get("agent_mib"):
        parts.append(f"the agent uses {agent:.0f} MiB")
    build = seen.summary.build
    if seen.form.mechanism == "compile-time" and build.cold_s is not None:
        parts.append(f"built cold in {seconds(build.cold_s)}")
    files = {view.source.folder for family in FAMILIES for view in seen.form.cells(family)}
    return parts, [f"{folder}/{CELL_FILE}" for folder in sorted(files)] or [MANIFEST_FILE]


def _safety(seen: PillarView) -> Said:
    if seen.form.mechanism == "run-time":
        lockdown = seen.run.machine.lockdown
        if not seen.summary.proof.ok:
            return [], []
        parts = [f"attached as root under kernel lockdown [{lockdown}]"] if lockdown else []
        if seen.summary.build.modules_added == seen.summary.build.files_changed == 0:
            parts.append("the program itself is unchanged")
        return parts, ["guest/facts.json", MANIFEST_FILE]
    build, parts = seen.summary.build, []
    if (added := build.modules_added) is not None:
        parts.append(f"the program contains code of {added} more modules")
    if (changed := build.files_changed) is not None:
        parts.append(f"the build changed {changed} source files or more")
    return parts, [MANIFEST_FILE]


def _portability(seen: PillarView) -> Said:
    if not seen.summary.proof.ok:
        return [], []
    kernel, arch = seen.run.machine.kernel, seen.run.machine.arch
    here = " ".join(part for part in ("kernel", kernel, arch) if part)
    verb = "attached on" if seen.form.mechanism == "run-time" else "ran on"
    return ([f"{verb} {here}, one machine"] if kernel else []), ["guest/facts.json"]


def _stability(seen: PillarView) -> Said:
    cover, conform = seen.summary.coverage, seen.summary.conformance
    if not cover.reference:
        return [], []
    parts = [f"{cover.received:,} of {cover.reference:,} reference spans under load"]
    if lost := conform.missing:
        parts.append(f"misses {lost[0].kind} ({lost[0].count:,})")
    if conform.orphans:
        parts.append(f"{conform.orphans:,} orphan spans")
    return parts, [f"{view.source.folder}/spans.jsonl.gz" for view in seen.form.cells("spans")]


_MEASURES: Final = {
    "performance": _performance,
    "safety": _safety,
    "portability": _portability,
    "stability": _stability,
}
_CONFIDENCE: Final = {
    "performance": "indicative",
    "safety": "one observation",
    "portability": "one observation",
    "stability": "measured in this run",
}
