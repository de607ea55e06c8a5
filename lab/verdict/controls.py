"""The controls: the twin (no effect may be detected) and two known delays (which must be detected)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Final

from lab.guest.wire import Plan
from lab.model.figures import plural
from lab.model.metrics import METRICS, Metric
from lab.model.summary_controls import ControlEffect, Controls, Delay
from lab.verdict import paired
from lab.verdict.absent import no_cell, too_few
from lab.verdict.cells.metrics import percentiles
from lab.verdict.cells.observe import FormView
from lab.verdict.compare import Terms, twin_effect
from lab.verdict.effects import Effect, percent
from lab.verdict.rules import lost

# Without an interval "seen" is not decided; a figure this close to the realised delay counts as near.
NEAR: Final = 0.5


def controls(forms: Mapping[str, FormView], plan: Plan, terms: Terms) -> Controls:
    """summary.json's `controls` at the primary level; a control without a figure is empty."""
    plain = [form for form in forms.values() if form.role in {"baseline", "twin"}]
    read = {m.name: twin_effect(plain, m, terms.level, terms) for m in terms.metrics if not m.fit}
    delays: dict[str, Delay | None] = {}
    for form in forms.values():
        kind = plan.forms[form.name].delay_kind
        metric = next((m for m in terms.metrics if m.control and m.control == kind), None)
        if form.role == "control" and metric is not None:
            delays[kind] = _delay(form, plain, metric, terms, read[metric.name]) or delays.get(kind)
    return Controls(
        twin={
            name: _read(effect, lost(effect, None, terms.threshold(METRICS[name])))
            for name, effect in read.items()
            if effect
        },
        delay_cpu=delays.get("cpu"),
        delay_wait=delays.get("wait"),
        absent=_absent(forms, plan, terms, {*(name for name, effect in read.items() if effect)}, delays),
    )


def with_seen(terms: Terms, found: Controls) -> Terms:
    """The terms with the result of the controls: kind of delay -> whether it was detected, or why that is unknown."""
    seen, unseen = {}, {}
    for kind, delay in (("cpu", found.delay_cpu), ("wait", found.delay_wait)):
        if delay is None:
            why = next(iter(found.absent.get(kind, {}).values()), "")
            unseen[kind] = f"has no figure in this run ({why})" if why else ""
        elif delay.seen is None:
            unseen[kind] = undecided(delay, terms.fewest_blocks)
        else:
            seen[kind] = delay.seen
    return replace(terms, seen=seen, unseen=unseen)


def undecided(delay: Delay, fewest: int) -> str:
    """Why it is unknown whether this delay was detected, which has a figure."""
    if delay.realised_pct is None:
        return "has a figure, but what it really added is unknown"
    return f"has a figure from {plural(delay.blocks, 'block')}, and needs {fewest}"


def _absent(
    forms: Mapping[str, FormView], plan: Plan, terms: Terms, twin: set[str], delays: Mapping[str, Delay | None]
) -> dict[str, dict[str, str]]:
    """Why controls have no figure, but for these metrics of the twin and these delays."""
    plain = [form for form in forms.values() if form.role in {"baseline", "twin"}]
    pairs = [form for form in plain if form.role == "twin"][:1]
    found: dict[str, dict[str, str]] = {}
    for metric in (m for m in terms.metrics if m.control):
        if metric.name not in twin:
            why = _why_none(pairs[0], [f for f in plain if f.role == "baseline"], metric, terms) if pairs else ""
            found.setdefault("twin", {})[metric.name] = why or "no twin ran"
        if delays.get(metric.control) is None:
            of = [f for f in forms.values() if f.role == "control" and plan.forms[f.name].delay_kind == metric.control]
            why = _why_none(of[0], plain, metric, terms) if of else f"delay-{metric.control} did not run"
            found.setdefault(metric.control, {})[metric.name] = why
    return found


def _why_none(form: FormView, references: list[FormView], metric: Metric, terms: Terms) -> str:
    return no_cell(form, references, metric, terms.level) or too_few([form, *references], metric, terms.level)


def _read(value: Effect, lost_in: str) -> ControlEffect:
    return ControlEffect(
        effect_pct=value.effect_pct,
        low_pct=value.low_pct,
        high_pct=value.high_pct,
        confidence=value.level,
        lost=lost_in,
        blocks=value.blocks,
        per_block_pct=tuple(percent(ratio) for ratio in value.ratios),
    )


def _delay(form: FormView, plain: list[FormView], metric: Metric, terms: Terms, twin: Effect | None) -> Delay | None:
    read, _, _ = paired.effect(form, plain, metric, terms.level, alpha=terms.alpha(metric, terms.level))
    if read is None:
        return None
    realised = _realised_pct(form, plain, metric, terms.level)
    near = abs(read.effect_pct - realised) <= NEAR * realised if realised else None
    seen = None
    if realised is not None and read.blocks >= terms.fewest_blocks:
        assert read.low_pct is not None
        assert read.high_pct is not None
        # a count is more exact than what the service itself can tell of its delay
        slack = terms.threshold(metric) if metric.kind == "work" else 0.0
        seen = read.excludes_zero and read.low_pct - slack <= realised <= read.high_pct + slack
    return Delay(
        form=form.name,
        metric=metric.name,
        seen=seen,
        near=near,
        realised_pct=realised,
        effect_pct=read.effect_pct,
        low_pct=read.low_pct,
        high_pct=read.high_pct,
        confidence=read.level,
        lost=lost(read, twin, terms.threshold(metric)),
        blocks=read.blocks,
        per_block_pct=tuple(percent(ratio) for ratio in read.ratios),
    )


def _realised_pct(form: FormView, plain: list[FormView], metric: Metric, level: str) -> float | None:
    """The injected delay in per cent of the uninstrumented figure of the same block."""
    found = []
    for view in paired.cells(form, metric, level):
        beside = [v for p in plain for v in paired.cells(p, metric, level) if v.cell.block == view.cell.block]
        delay_ns = view.cell.delay_ns
        if not beside or delay_ns is None:
            continue
        if metric.quantile:
            medians = [p50 for v in beside for p50 in percentiles(v.figures, metric.quantile).values()]
            ratios = [math.log1p(delay_ns / 1e6 / p50) for p50 in medians if p50 > 0]
            found += [percent(fmean(ratios))] if ratios else []
        else:
            spent = [v.figures.cpu_s / v.figures.requests for v in beside if v.figures.cpu_s and v.figures.requests]
            found += [delay_ns / 1e9 / fmean(spent) * 100] if spent else []
    return fmean(found) if found else None
