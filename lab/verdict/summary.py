"""A run to `summary.json`: the answer for programs, and the only source of every figure in the report."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, median
from typing import Any, Final

from lab.guest.scoring.gates import FAMILIES, percentile
from lab.guest.wire import encode
from lab.model.events import StepFinished, StepStarted
from lab.model.paths import CELL_FILE
from lab.model.run import Run, RunForm
from lab.verdict.compare import METRICS, PRIMARY, Terms, levels, rows, value
from lab.verdict.completeness import conformance, coverage, nodes
from lab.verdict.controls import controls
from lab.verdict.grade import grade
from lab.verdict.metrics import QUANTILES, ecdf
from lab.verdict.observe import FormView, given, observe, unproven
from lab.verdict.pillars import pillars
from lab.verdict.story import lines, may_not_claim
from lab.verdict.traces import traces

SCHEMA: Final = 2
Summary = dict[str, Any]


def summarize(run: Run) -> Summary:
    """All figures, words and reasons of a run. Pure: the same run gives the same summary."""
    forms = observe(run)
    graded = grade(run.manifest, run.facts, [view.cell for form in forms.values() for view in form.attempts])
    instrumented = [form for form in forms.values() if form.role == "instrumented"]
    terms = Terms(
        grade=graded.word,
        threshold_pct=run.manifest.threshold_pct,
        comparisons=len(instrumented) * len(PRIMARY),
    )
    named = {name: _form(form, run) for name, form in forms.items()}
    verdicts = rows(forms, terms)
    level = next(iter(levels(forms)), "")
    summary: Summary = {
        "schema": SCHEMA,
        "run_id": run.id,
        "scenario": run.plan.scenario,
        "scenario_title": run.manifest.scenario_title,
        "profile": run.plan.profile,
        "grade": {"word": graded.word, "reasons": list(graded.reasons)},
        "outcome": run.outcome,
        "cells": _cells(forms),
        "fewest_blocks": terms.fewest_blocks,
        "forms": named,
        "left_out": encode(run.manifest.left_out),
        "verdicts": verdicts,
        "lines": lines(named, verdicts),
        "unproven": {form.name: form.failed for form in forms.values() if form.failed is not None},
        "pillars": pillars(run, forms, named, verdicts),
        "controls": controls(forms, run.plan, level),
        "traces": traces(run, list(forms)),
        "ecdf": _ecdf(forms),
        "timeline": _timeline(forms),
        "steps": _steps(run),
        "provenance": _provenance(run),
        "problems": [*run.problems, *unproven(run, forms), *_disagreements(forms)],
    }
    summary["may_not_claim"] = may_not_claim(summary, terms.fewest_blocks)
    return summary


def _cells(forms: Mapping[str, FormView]) -> dict[str, Any]:
    """valid: in everything. usable: family of figures -> planned cells that have a valid attempt for it."""
    attempts = [view for form in forms.values() for view in form.attempts]
    return {
        "planned": sum(form.planned for form in forms.values()),
        "valid": sum(form.whole for form in forms.values()),
        "usable": {family: sum(len(form.cells(family)) for form in forms.values()) for family in FAMILIES},
        "invalid": sum(not view.validity.whole for view in attempts),
        "attempts": len(attempts),
    }


def _form(form: FormView, run: Run) -> dict[str, Any]:
    facts, spec = run.form(form.name), run.plan.forms[form.name]
    measured = [view.cell for view in form.attempts]
    attach = [cell.attach_s for cell in measured if cell.attach_s is not None]
    first = [cell.first_span_s for cell in measured if cell.first_span_s is not None]
    absent = {family: why for family in FAMILIES if (why := form.why_none(family))}
    uncounted = absent.get("spans", "")
    conform = conformance(form.scores, form.tallies, uncounted, known=spec.expected.known)
    if form.role != "instrumented":
        conform["missing"] = []  # it is not instrumented: there is nothing to miss
    broken = sum(not view.validity.whole for view in form.attempts)
    return {
        "title": facts.title or form.name,
        "role": form.role,
        "mechanism": form.mechanism,
        "of": facts.of,
        "build_id": spec.build_id,
        "sha256": spec.sha256,
        "proof": _proof(form, run),
        "absent": absent,
        "coverage": coverage(form.scores, uncounted),
        "conformance": conform,
        "nodes": nodes(form.scores),
        "clock_shift": _clock_shift(form),
        "attach_s": median(attach) if attach else None,
        "time_to_first_span_s": median(first) if first else None,
        "startup_s": median(cell.startup_s for cell in measured) if measured else None,
        "build": _build(facts),
        "changes": encode(facts.changes),
        "cells": {
            "planned": form.planned,
            "valid": form.whole,
            "usable": {family: len(form.cells(family)) for family in FAMILIES},
            "invalid": broken,
            "invalid_share": broken / len(form.attempts) if form.attempts else None,
        },
        "requests": dict(form.requests),
        "metrics": _metrics(form),
        "cpu": _cpu(form),
        "memory": _memory(form),
        "latency": _latency(form),
    }


def _proof(form: FormView, run: Run) -> dict[str, Any]:
    """ok: None where no proof came so far. gaps: what a form of which nothing is known gave unlike the reference."""
    canaries = [proof.canary for proof in run.canaries if proof.canary.form == form.name]
    gaps = next((canary.gaps for canary in canaries if canary.gaps), "")
    if form.failed is not None:
        return {"ok": False, "reason": form.failed, "gaps": gaps}
    return {"ok": True if canaries else None, "reason": "", "gaps": gaps}


def _clock_shift(form: FormView) -> dict[str, Any]:
    """How much too early this form's spans were stamped (undone before counting), over the cells that are counted."""
    shifts = [(view.tally.lag_ns / 1e6, view) for view in form.cells("spans") if view.tally and view.tally.lag_ns]
    return {
        "cells": len(shifts),
        "max_ms": max((ms for ms, _ in shifts), default=0.0),
        "evidence": [f"{view.source.folder}/spans.jsonl.gz" for _, view in shifts],
    }


def _build(facts: RunForm) -> dict[str, Any]:
    return {
        "cold_s": facts.cold_s,
        "warm_s": facts.warm_s,
        "size_bytes": facts.size_bytes,
        "files_changed": facts.files_changed,
        "modules_added": facts.modules_added,
    }


def _metrics(form: FormView) -> dict[str, Any]:
    """Level -> metric -> median over blocks (latency: per request type)."""
    found: dict[str, Any] = {}
    for level in sorted({view.cell.level for family in FAMILIES for view in form.cells(family)}):
        of_level: dict[str, Any] = {metric: value(form, metric, level) for metric in METRICS}
        cells = form.level(level, "cpu").values()
        per_span = [view.figures.cpu_ms_per_span for view in cells if view.figures.cpu_ms_per_span]
        of_level["cpu_ms_per_span"] = median(per_span) if per_span else None
        of_level["achieved_rps"] = median(view.figures.achieved_rps for view in cells) if cells else None
        found[level] = of_level
    return found


def _cpu(form: FormView) -> dict[str, float]:
    """CPU seconds per 1,000 requests by part, mean over cells that have it; bpf_run lies inside service_system."""
    told = [view.figures.cpu for view in form.cells("cpu")]
    parts = sorted({part for cpu in told for part in cpu})
    return {part: fmean(cpu[part] for cpu in told if part in cpu) for part in parts}


def _memory(form: FormView) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for view in form.cells("memory"):
        for usage in view.cell.usage:
            if usage.role in {"service", "agent"}:
                found.setdefault(f"{usage.role}_mib", []).append(usage.rss_mib)
    return {role: median(values) for role, values in found.items()}


def _pooled(form: FormView) -> dict[str, list[float]]:
    pooled: dict[str, list[float]] = {}
    for view in form.cells("latency"):
        for kind, latencies in view.figures.latencies.items():
            pooled.setdefault(kind, []).extend(latencies)
    return {kind: sorted(latencies) for kind, latencies in sorted(pooled.items())}


def _latency(form: FormView) -> dict[str, Any]:
    """Percentiles over all valid cells together, for people; verdicts rest on per-cell percentiles instead."""
    found: dict[str, Any] = {}
    for kind, ordered in _pooled(form).items():
        found[kind] = {"count": len(ordered)}
        for label, quantile, fewest in QUANTILES:
            found[kind][f"{label}_ms"] = percentile(ordered, quantile) if len(ordered) >= fewest else None
    return found


def _ecdf(forms: Mapping[str, FormView]) -> list[dict[str, Any]]:
    return [
        {"form": form.name, "type": kind, "points": [list(point) for point in ecdf(ordered)]}
        for form in forms.values()
        for kind, ordered in _pooled(form).items()
    ]


def _timeline(forms: Mapping[str, FormView]) -> list[dict[str, Any]]:
    """Every attempt in the order in which it ran. Seconds from the first window's start."""
    views = sorted((v for form in forms.values() for v in form.attempts), key=lambda view: view.cell.window_start_ns)
    origin = views[0].cell.window_start_ns if views else 0
    return [
        {
            "cell": view.cell.id,
            "form": view.cell.form,
            "block": view.cell.block,
            "attempt": view.cell.attempt,
            "valid": view.validity.whole,
            "void": {family: list(why) for family, why in view.validity.void.items()},
            "reasons": list(given(view.cell)),
            "start_s": (view.cell.window_start_ns - origin) / 1e9,
            "end_s": (view.cell.window_end_ns - origin) / 1e9,
            "rate_rps": view.cell.rate_rps,
            "achieved_rps": view.cell.achieved_rps,
            "scheduled": view.cell.scheduled,
            "completed": view.cell.completed,
            "late": view.cell.late,
            "sentinel_s": view.cell.sentinel_s,
            "steal_s": view.cell.steal_s,
            "queue": list(view.queue.mean) if view.queue else [],
            "saturated": bool(view.queue and view.queue.grew),
            "clock_shift_ms": view.tally.lag_ns / 1e6 if view.tally else 0.0,
            "missed": [
                {"gate": g.name, "value": g.value, "limit": g.limit, "hard": g.hard}
                for g in view.cell.gates
                if not g.ok
            ],
            "gates": len(view.cell.gates),
            "disagreements": list(view.disagreements),
            "evidence": f"{view.source.folder}/{CELL_FILE}",
        }
        for view in views
    ]


def _disagreements(forms: Mapping[str, FormView]) -> list[str]:
    return [f"{v.cell.id}: {said}" for form in forms.values() for v in form.attempts for said in v.disagreements]


def _steps(run: Run) -> list[dict[str, Any]]:
    """The host's steps with their seconds, in the order in which they began; depth by nesting."""
    parents = {record.step: record.parent for record in run.host_events}
    titles = {r.step: r.event.title for r in run.host_events if isinstance(r.event, StepStarted)}
    ended = {r.step: r.event for r in run.host_events if isinstance(r.event, StepFinished)}
    found = []
    for step, title in titles.items():
        end = ended.get(step)
        depth, above = 0, parents.get(step, 0)
        while above and depth < 8:
            depth, above = depth + 1, parents.get(above, 0)
        found.append(
            {
                "title": title,
                "depth": depth,
                "seconds": end.seconds if end else None,
                "outcome": end.outcome if end else "running",
                "message": end.message if end else "",
            }
        )
    return found


def _provenance(run: Run) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "created": manifest.created,
        "command": list(manifest.command),
        "seed": run.plan.seed,
        "provider": manifest.provider,
        "acceleration": manifest.acceleration,
        "host": manifest.host,
        "guest": {**manifest.guest, **run.facts},
        "toolchain": manifest.toolchain,
        "lab_version": manifest.lab_version,
        "plan_sha256": run.plan.digest(),
        "guest_manifest_sha256": manifest.guest_manifest_sha256,
        "playbook_sha256": manifest.playbook_sha256,
        "image_id": manifest.image_id,
        "layout": run.plan.layout.said,
        "service": run.plan.service.name,
        "topology": run.plan.service.topology,
        "arrivals": run.plan.arrivals,
        "mix": [{"type": spec.type, "weight": spec.weight} for spec in run.plan.requests],
        "files": len(run.files),
        "bytes": sum(run.files.values()),
    }
