"""The controls: the twin (nothing may be seen) and two known delays (something must be seen)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Final

from lab.guest.wire import Plan
from lab.model.summary import ControlEffect, Controls, Delay
from lab.verdict.compare import FAMILY, METRICS, effect
from lab.verdict.effects import Effect, percent
from lab.verdict.observe import FormView

METRIC_OF: Final = {"cpu": "cpu_s_per_1k_requests", "wait": "latency_p50_ms"}
# Without an interval "seen" is not decided; a figure this close to the realised delay is said to point at it.
NEAR: Final = 0.5


def controls(forms: Mapping[str, FormView], plan: Plan, level: str) -> Controls:
    """summary.json's `controls`; a control that read nothing is empty."""
    base = next((form for form in forms.values() if form.role == "baseline"), None)
    twin: dict[str, ControlEffect] = {}
    delays: dict[str, Delay | None] = {}
    if base is None:
        return Controls(twin=twin)
    for form in forms.values():
        if form.role == "twin":
            # against the baseline alone: against the mean of both an A/A difference would look half as large
            effects = {metric: effect(form, [base], metric, level)[0] for metric in METRICS}
            twin = {metric: _read(value) for metric, value in effects.items() if value is not None} or twin
        elif form.role == "control" and (kind := plan.forms[form.name].delay_kind) in METRIC_OF:
            delays[kind] = _delay(form, base, kind, level) or delays.get(kind)
    return Controls(twin=twin, delay_cpu=delays.get("cpu"), delay_wait=delays.get("wait"))


def _read(value: Effect) -> ControlEffect:
    return ControlEffect(
        effect_pct=value.effect_pct,
        low_pct=value.low_pct,
        high_pct=value.high_pct,
        blocks=value.blocks,
        per_block_pct=tuple(percent(ratio) for ratio in value.ratios),
    )


def _delay(form: FormView, base: FormView, kind: str, level: str) -> Delay | None:
    metric = METRIC_OF[kind]
    seen, _, _ = effect(form, [base], metric, level)
    if seen is None:
        return None
    realised = _realised_pct(form, base, kind, level)
    near = None
    if realised:
        near = abs(seen.effect_pct - realised) <= NEAR * realised
    return Delay(
        form=form.name,
        metric=metric,
        seen=None,  # decided by an interval, which this protocol does not compute yet
        near=near,
        realised_pct=realised,
        effect_pct=seen.effect_pct,
        low_pct=None,
        high_pct=None,
        blocks=seen.blocks,
        per_block_pct=tuple(percent(ratio) for ratio in seen.ratios),
    )


def _realised_pct(form: FormView, base: FormView, kind: str, level: str) -> float | None:
    """What the injected delay amounts to, in per cent of the baseline's own figure of the same block."""
    found, family = [], FAMILY[METRIC_OF[kind]]
    for block, view in form.level(level, family).items():
        plain, delay_ns = base.level(level, family).get(block), view.cell.delay_ns
        if plain is None or delay_ns is None:
            continue
        if kind == "cpu":
            cpu = plain.figures.cpu_s_per_1k_requests
            found += [delay_ns / 1e9 * 1000 / cpu * 100] if cpu else []
        else:
            medians = plain.figures.percentiles("p50").values()
            ratios = [math.log1p(delay_ns / 1e6 / p50) for p50 in medians]
            found += [percent(fmean(ratios))] if ratios else []
    return fmean(found) if found else None
