"""A form's cells against its references', block by block: values, and the effect over all blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Final

from lab.guest.scoring.gates import FAMILIES
from lab.model.metrics import ALL_LEVELS, CellFigures, Metric, per
from lab.model.summary_form import Level
from lab.verdict.cells.cell_view import CellView
from lab.verdict.cells.metrics import line, percentiles, weights
from lab.verdict.cells.observe import FormView
from lab.verdict.effects import ALPHA, Effect, deviations, estimate, percent, scalar_ratios, typed_ratios

ENDS: Final = {"standing": 0, "marginal": 1}


def effect(
    form: FormView,
    references: Sequence[FormView],
    metric: Metric,
    level: str,
    *,
    types: Sequence[str] | None = None,
    alpha: float = ALPHA,
) -> tuple[Effect | None, list[str], dict[str, float]]:
    """The effect, its request types (latency only), and each type's own effect in per cent."""
    if not metric.quantile:
        of = _scalar(form, metric, level)
        base = [_scalar(reference, metric, level) for reference in references]
        ratios = scalar_ratios(of, base, sorted(of), fitted=bool(metric.fit))
        return estimate(ratios, alpha, _edge(form, references, metric, level)), [], {}
    typed, typed_base = _typed(form, metric, level), [_typed(reference, metric, level) for reference in references]
    common = sorted(typed)
    able = [kind for kind in _common(typed, typed_base) if types is None or kind in types]
    by_type = {kind: typed_ratios(typed, typed_base, common, [kind]) for kind in able}
    per_type = {kind: percent(median(ratios)) for kind, ratios in by_type.items() if ratios}
    return estimate(typed_ratios(typed, typed_base, common, able), alpha), able, per_type


def _edge(form: FormView, references: Sequence[FormView], metric: Metric, level: str) -> float:
    """Of the effect, by the edges of lives. Those of references add up: one binary ends its lives at one point."""
    if metric.kind != "work" or not references:
        return 0.0
    return math.hypot(_share([form], metric, level), _share(references, metric, level))


def _share(forms: Sequence[FormView], metric: Metric, level: str) -> float:
    """Standard deviation of the mean of these forms by the edges of their lives, as a share of the mean."""
    if not metric.fit:
        return fmean(form.evened.edge.get(level, 0.0) for form in forms)
    known = [(number, _off(form, metric)) for form in forms if isinstance(number := value(form, metric, level), float)]
    mean = abs(sum(number for number, _ in known))
    return sum(off for _, off in known) / mean if mean else 0.0


def _off(form: FormView, metric: Metric) -> float:
    """Standard deviation of what is fitted, by the edges of lives: what one cell has too much, the next lacks."""
    of_block = _by_block(form, metric, ALL_LEVELS)
    lives = {view.cell.life for views in of_block.values() for view in views}
    found = []
    for views in of_block.values():
        by = weights([view.figures.requests / view.figures.window_s for view in views])
        if by:
            offs = [view.figures.off / view.figures.window_s for view in views]
            found.append(sum(abs(one[ENDS[metric.fit]]) * off for one, off in zip(by, offs, strict=True)))
    return fmean(found) / math.sqrt(len(lives)) if found else 0.0


def value(form: FormView, metric: Metric, level: str) -> float | dict[str, float] | None:
    """The median over blocks: a number, or one per request type for latency."""
    if not metric.quantile:
        found = list(_scalar(form, metric, level).values())
        return median(found) if found else None
    per_block = _typed(form, metric, level)
    types = sorted({kind for values in per_block.values() for kind in values})
    return {kind: median([values[kind] for values in per_block.values() if kind in values]) for kind in types}


def plus_minus(form: FormView, metric: Metric) -> float:
    """How far a fitted figure may be off, at 95 %, by one collection of garbage more or less in a cell."""
    return _off(form, metric) * deviations(1 - ALPHA) if metric.kind == "work" else 0.0


def by_level(form: FormView, metrics: Sequence[Metric]) -> dict[str, Level]:
    """The medians over blocks: one entry per level, and one for the metrics fitted over several levels."""
    found = {}
    levels = sorted({view.cell.level for family in FAMILIES for view in form.cells(family)})
    fits = [metric for metric in metrics if metric.fit]
    for level in [*levels, *([ALL_LEVELS] if fits else [])]:
        values = {m.name: value(form, m, level) for m in metrics if bool(m.fit) == (level == ALL_LEVELS)}
        typed = {name: of for name, of in values.items() if isinstance(of, dict)}
        numbers = {name: of for name, of in values.items() if isinstance(of, float)}
        at_level = list(form.level(level, "cpu").values())
        per_span = [
            ms
            for v in form.level(level, "cpu", "spans").values()
            if (ms := per(v.figures.cpu_s, v.figures.spans, 1000))
        ]
        found[level] = Level(
            cpu_s_per_1k_requests=numbers.pop("cpu_s_per_1k_requests", None),
            latency_p50_ms=typed.get("latency_p50_ms", {}),
            latency_p90_ms=typed.get("latency_p90_ms", {}),
            latency_p99_ms=typed.get("latency_p99_ms", {}),
            rss_mib=numbers.pop("rss_mib", None),
            cpu_ms_per_span=median(per_span) if per_span else None,
            achieved_rps=median(view.cell.achieved_rps for view in at_level) if at_level else None,
            others=numbers,
            plus_minus={m.name: off for m in fits if level == ALL_LEVELS and (off := plus_minus(form, m))},
        )
    return found


def cells(form: FormView, metric: Metric, level: str) -> list[CellView]:
    """The cells for this metric at this level; of a fit, those of the blocks in which it is made."""
    return [view for views in _by_block(form, metric, level).values() for view in views]


def blocks(form: FormView, metric: Metric, level: str) -> set[int]:
    """The blocks in which the form has a number for this metric, of whatever sign."""
    return set(_scalar(form, metric, level))


def used(side: Sequence[FormView], metric: Metric, level: str, types: Sequence[str]) -> list[tuple[FormView, CellView]]:
    """The cells of one side that give a figure. types: those that a latency is from.

    As in `effects`, a value at or below zero gives none, unless the mean over the forms of the side is above.
    """
    if metric.quantile:
        timed = [(form, view) for form in side for view in _in_time(form, metric, level)]
        typed = [(form, view, percentiles(view.figures, metric.quantile)) for form, view in timed]
        return [(form, view) for form, view, ms in typed if any(ms.get(kind, 0.0) > 0.0 for kind in types)]
    assert metric.read is not None
    found, of_block = [], dict[int, list[float]]()
    for form in side:
        for view in form.cells(*metric.families):
            if level in {ALL_LEVELS, view.cell.level} and (number := metric.read(view.figures)) is not None:
                found.append((form, view))
                of_block.setdefault(view.cell.block, []).append(number)
    return [(form, view) for form, view in found if metric.fit or fmean(of_block[view.cell.block]) > 0.0]


def _by_block(form: FormView, metric: Metric, level: str) -> dict[int, list[CellView]]:
    found: dict[int, list[CellView]] = {}
    for view in form.cells(*metric.families):
        if level in {ALL_LEVELS, view.cell.level}:
            found.setdefault(view.cell.block, []).append(view)
    return {block: views for block, views in found.items() if not metric.fit or len(views) > 1}


def _scalar(form: FormView, metric: Metric, level: str) -> dict[int, float]:
    of_block = _by_block(form, metric, level)
    found = {block: _read(metric, [view.figures for view in views]) for block, views in of_block.items()}
    return {block: number for block, number in found.items() if number is not None}


def _read(metric: Metric, figures: Sequence[CellFigures]) -> float | None:
    assert metric.read is not None
    if not metric.fit:
        return metric.read(figures[0])
    points = [(f.requests / f.window_s, y) for f in figures if (y := metric.read(f)) is not None]
    fitted = line(points)
    return fitted[ENDS[metric.fit]] if fitted else None


def _typed(form: FormView, metric: Metric, level: str) -> dict[int, dict[str, float]]:
    """Block -> request type -> milliseconds; without percentiles that late sends changed too much."""
    return {v.cell.block: percentiles(v.figures, metric.quantile) for v in _in_time(form, metric, level)}


def _in_time(form: FormView, metric: Metric, level: str) -> list[CellView]:
    limit = form.late_shift_max
    return [v for v in cells(form, metric, level) if limit is None or v.late_shift[metric.quantile] <= limit]


def _common(of: Mapping[int, Mapping[str, float]], base: Sequence[Mapping[int, Mapping[str, float]]]) -> list[str]:
    """Request types with enough requests in every block that the form and a reference have, in both."""
    blocks = [block for block in of if any(block in other for other in base)]
    types = sorted({kind for block in blocks for kind in of[block]})
    return [
        kind
        for kind in types
        if all(kind in of[block] and any(kind in other.get(block, {}) for other in base) for block in blocks)
    ]
