"""Summarize a run as `summary.json`: the only source of every figure in the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from statistics import fmean, median

from lab.guest.scoring.gates import FAMILIES, percentile
from lab.guest.wire import Usage
from lab.model.figures import plural
from lab.model.metrics import METRICS, headline, per
from lab.model.run import Run
from lab.model.summary import SCHEMA, Curve, Summary
from lab.model.summary_form import BuildCost, Cells, ClockShift, Collections, FormProof, FormSummary, Latency
from lab.verdict.cells.boots import several
from lab.verdict.cells.cell_view import ForEach, in_turn
from lab.verdict.cells.completeness import conformance, coverage
from lab.verdict.cells.evened import ROLES
from lab.verdict.cells.metrics import QUANTILES, ecdf
from lab.verdict.cells.observe import FormView, observe, unproven
from lab.verdict.cells.planned import strangers
from lab.verdict.cells.timeline import timeline
from lab.verdict.cells.traces import traces
from lab.verdict.cells.warmth import cold
from lab.verdict.compare import Terms, levels, rows
from lab.verdict.controls import controls, with_seen
from lab.verdict.grade import grade
from lab.verdict.paired import by_level
from lab.verdict.pillars import pillars
from lab.verdict.provenance import provenance, steps
from lab.verdict.sentences import lines, may_not_claim


def summarize(run: Run, for_each: ForEach = in_turn) -> Summary:
    """All figures, words and reasons of a run. Pure: the same run gives the same summary. for_each: how the figures of
    each process life are derived from its rows, which takes most of the time."""
    forms = observe(run, for_each)
    measured = [view.cell for form in forms.values() for view in form.attempts]
    graded = grade(run.manifest, run.machine, measured, run.plan.clock)
    instrumented = [form for form in forms.values() if form.role == "instrumented"]
    terms = Terms(
        grade=graded.word,
        levels=levels(forms, {cell.level: cell.rate_rps for life in run.plan.lives for cell in life.cells}),
        instrumented=len(instrumented),
        clock=run.plan.clock,
        named=run.manifest.primary,
        threshold_pct=run.manifest.threshold_pct,
        floor_pct=run.manifest.floor_pct,
    )
    found = controls(forms, run.plan, terms)
    terms = with_seen(terms, found)
    named = {name: _form(form, run, terms) for name, form in forms.items()}
    verdicts = rows(forms, terms)
    summary = Summary(
        schema=SCHEMA,
        run_id=run.id,
        scenario=run.plan.scenario,
        scenario_title=run.manifest.scenario_title,
        profile=run.plan.profile,
        clock=run.plan.clock,
        grade=graded,
        outcome=run.outcome,
        cells=_cells(forms.values()),
        fewest_blocks=terms.fewest_blocks,
        forms=named,
        left_out=run.manifest.left_out,
        verdicts=tuple(verdicts),
        lines=(),
        may_not_claim=(),
        unproven={form.name: form.failed for form in forms.values() if form.failed is not None},
        pillars=(),
        controls=found,
        traces=traces(run, list(forms)),
        ecdf=_ecdf(forms),
        timeline=timeline(forms, METRICS[headline(run.plan.clock)[0]]),
        steps=steps(run),
        provenance=provenance(run, terms.thresholds),
        problems=(
            *(*run.problems, *_ended(run, forms.values())),
            *(*several(run), *strangers(run), *unproven(run, forms), *_disagreements(forms)),
        ),
    )
    summary = replace(summary, lines=lines(summary), pillars=pillars(run, forms, summary))
    return replace(summary, may_not_claim=may_not_claim(summary))


def _ended(run: Run, forms: Collection[FormView]) -> list[str]:
    """That the machine could not complete the run."""
    if run.outcome != "failed":
        return []
    ran = {(form.name, view.cell.block, view.cell.level) for form in forms for view in form.attempts}
    absent = sum(form.planned_at() for form in forms) - len(ran)
    return ["the run ended failed" + (f": {plural(absent, 'cell')} did not run" if absent else "")]


def _cells(forms: Collection[FormView]) -> Cells:
    attempts = [view for form in forms for view in form.attempts]
    invalid = sum(not view.settled for view in attempts)
    valid = sum(form.whole for form in forms)
    settled = {(view.cell.form, view.cell.block, view.cell.level) for view in attempts if view.settled}
    return Cells(
        planned=sum(form.planned_at() for form in forms),
        valid=valid,
        saturated=len(settled) - valid,
        usable={family: sum(len(form.cells(family)) for form in forms) for family in FAMILIES},
        attempts=len(attempts),
        invalid=invalid,
        invalid_share=invalid / len(attempts) if attempts else None,
    )


def _form(form: FormView, run: Run, terms: Terms) -> FormSummary:
    facts, spec = run.form(form.name), run.plan.forms[form.name]
    measured = [view.cell for view in form.attempts]
    attach = [cell.attach_s for cell in measured if cell.attach_s is not None]
    first = [cell.first_span_s for cell in measured if cell.first_span_s is not None]
    absent = {family: why for family in FAMILIES if (why := form.why_none(family))}
    uncounted, bare = absent.get("spans", ""), form.role != "instrumented"
    return FormSummary(
        title=facts.title or form.name,
        role=form.role,
        mechanism=form.mechanism,
        of=facts.of,
        build_id=spec.build_id,
        sha256=spec.sha256,
        agent_sha256=spec.agent.sha256 if spec.agent else "",
        proof=_proof(form, run),
        absent=absent,
        coverage=coverage(form.scores, uncounted),
        conformance=conformance(form.scores, form.tallies(), uncounted, known=spec.expected.known, bare=bare),
        nodes=form.scores,
        clock_shift=_clock_shift(form),
        attach_s=median(attach) if attach else None,
        time_to_first_span_s=median(first) if first else None,
        startup_s=median(cell.startup_s for cell in measured) if measured else None,
        build=BuildCost(
            cold_s=facts.cold_s,
            warm_s=facts.warm_s,
            size_bytes=facts.size_bytes,
            files_changed=facts.files_changed,
            modules_added=facts.modules_added,
        ),
        changes=facts.changes,
        cells=_cells([form]),
        requests=dict(form.requests()),
        metrics=by_level(form, terms.metrics),
        cpu=_cpu(form, terms.level),
        memory=_memory(form, terms.level),
        latency=_latency(form),
        probe_hits=_probe_hits(form),
        collections=_collections(form, run.machine.instruction_ns),
        waits=_switches(form, lambda row: row.waits),
        preempted=_switches(form, lambda row: row.preempted),
        cold=cold([view.trend for view in form.cells("latency") if view.trend is not None]),
        saturation=run.plan.saturation.get(form.name),
    )


def _proof(form: FormView, run: Run) -> FormProof:
    canaries = [proof.canary for proof in run.canaries if proof.canary.form == form.name]
    gaps = next((canary.gaps for canary in canaries if canary.gaps), "")
    if form.failed is not None:
        return FormProof(ok=False, reason=form.failed, gaps=gaps)
    return FormProof(ok=True if canaries else None, reason="", gaps=gaps)


def _clock_shift(form: FormView) -> ClockShift:
    shifts = [(view.tally.lag_ns / 1e6, view) for view in form.cells("spans") if view.tally and view.tally.lag_ns]
    return ClockShift(
        cells=len(shifts),
        max_ms=max((ms for ms, _ in shifts), default=0.0),
        evidence=tuple(f"{view.source.folder}/spans.jsonl.gz" for _, view in shifts),
    )


def _cpu(form: FormView, level: str) -> dict[str, float]:
    """CPU seconds per 1,000 requests by part, mean over the cells with it at the level of the verdicts; bpf_run is part
    of service_system."""
    cells = [view.figures.cpu for view in form.level(level, "cpu").values()]
    parts = sorted({part for cpu in cells for part in cpu})
    return {part: fmean(cpu[part] for cpu in cells if part in cpu) for part in parts}


def _probe_hits(form: FormView) -> float | None:
    cells = [view.cell for view in form.cells("cpu") if view.cell.bpf_runs is not None and view.cell.completed]
    return median((cell.bpf_runs or 0.0) / cell.completed for cell in cells) if cells else None


def _collections(form: FormView, instruction_ns: float | None) -> dict[str, Collections]:
    if instruction_ns is None:
        return {}
    cells = [view.cell for view in form.attempts if view.validity.holds("cpu")]
    roles = sorted({role for cell in cells for role in cell.collections})
    return {
        role: Collections(
            count=sum(cell.collections.get(role, 0) for cell in cells),
            instructions=per(form.evened.each.get(role), instruction_ns, 1e9),
        )
        for role in roles
    }


def _switches(form: FormView, kind: Callable[[Usage], float | None]) -> float | None:
    """Of service and agent per request, the median over the cells that know them."""
    found = []
    for view in form.cells("cpu"):
        known = [count for row in view.cell.usage if row.role in ROLES and (count := kind(row)) is not None]
        if known and view.cell.completed:
            found.append(sum(known) / view.cell.completed)
    return median(found) if found else None


def _memory(form: FormView, level: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for view in form.level(level, "memory").values():
        for usage in view.cell.usage:
            if usage.role in ROLES:
                found.setdefault(f"{usage.role}_mib", []).append(usage.rss_mib)
    return {role: median(values) for role, values in found.items()}


def _pooled(form: FormView) -> dict[str, list[float]]:
    pooled: dict[str, list[float]] = {}
    for view in form.cells("latency"):
        for kind, latencies in view.figures.latencies.items():
            pooled.setdefault(kind, []).extend(latencies)
    return {kind: sorted(latencies) for kind, latencies in sorted(pooled.items())}


def _latency(form: FormView) -> dict[str, Latency]:
    found = {}
    for kind, ordered in _pooled(form).items():
        p50, p90, p99 = (
            percentile(ordered, quantile) if len(ordered) >= fewest else None for _, quantile, fewest in QUANTILES
        )
        found[kind] = Latency(count=len(ordered), p50_ms=p50, p90_ms=p90, p99_ms=p99)
    return found


def _ecdf(forms: Mapping[str, FormView]) -> tuple[Curve, ...]:
    return tuple(
        Curve(form=form.name, type=kind, points=tuple(ecdf(ordered)))
        for form in forms.values()
        for kind, ordered in _pooled(form).items()
    )


def _disagreements(forms: Mapping[str, FormView]) -> list[str]:
    return [f"{v.cell.id}: {doubt}" for form in forms.values() for v in form.attempts for doubt in v.disagreements]
