"""The rows of `verdicts[]`: each instrumented form against the baseline, and form against form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median
from typing import Final

from lab.model.paths import CELL_FILE
from lab.model.summary import Verdict
from lab.verdict.completeness import unequal_types
from lab.verdict.effects import Effect, estimate, percent, scalar_ratios, typed_ratios
from lab.verdict.metrics import QUANTILES, CellFigures
from lab.verdict.observe import FormView
from lab.verdict.signed_rank import fewest_blocks
from lab.verdict.words import Evidence, judge

SCALARS: Final[dict[str, Callable[[CellFigures], float | None]]] = {
    "cpu_s_per_1k_requests": lambda figures: figures.cpu_s_per_1k_requests,
    "rss_mib": lambda figures: figures.rss_mib,
}
LATENCIES: Final = {"latency_p50_ms": "p50", "latency_p90_ms": "p90", "latency_p99_ms": "p99"}
METRICS: Final = ("cpu_s_per_1k_requests", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "rss_mib")
# Which of lab.guest.scoring.gates' families a metric belongs to: only gates that touch it can void it.
FAMILY: Final = {
    "cpu_s_per_1k_requests": "cpu",
    "rss_mib": "memory",
    "latency_p50_ms": "latency",
    "latency_p90_ms": "latency",
    "latency_p99_ms": "latency",
}
PRIMARY: Final = ("cpu_s_per_1k_requests", "latency_p50_ms")
THRESHOLD_PCT: Final = {"cpu_s_per_1k_requests": 2.0, "latency_p50_ms": 5.0, "throughput_rps": 3.0}
DEFAULT_THRESHOLD_PCT: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was fixed before the run: the grade, the practical thresholds and the size of the primary family."""

    grade: str
    threshold_pct: Mapping[str, float]
    comparisons: int

    def threshold(self, metric: str) -> float:
        return self.threshold_pct.get(metric, THRESHOLD_PCT.get(metric, DEFAULT_THRESHOLD_PCT))

    @property
    def fewest_blocks(self) -> int:
        return fewest_blocks(self.comparisons)


def rows(forms: Mapping[str, FormView], terms: Terms) -> list[Verdict]:
    """Every comparison of the run, form against baseline first."""
    plain = [form for form in forms.values() if form.role in {"baseline", "twin"}]
    instrumented = [form for form in forms.values() if form.role == "instrumented"]
    found: list[Verdict] = []
    for level in levels(forms):
        noise = {metric: _twin_pct(plain, metric, level) for metric in METRICS}
        for form in instrumented:
            found += [_row(form, plain, "baseline", metric, level, terms, noise[metric]) for metric in METRICS]
        for one, other in combinations(instrumented, 2):
            found += [_row(other, [one], one.name, metric, level, terms) for metric in METRICS]
    return found


def levels(forms: Mapping[str, FormView]) -> list[str]:
    return sorted({level for form in forms.values() for level in form.levels})


def effect(
    form: FormView, references: Sequence[FormView], metric: str, level: str, types: Sequence[str] | None = None
) -> tuple[Effect | None, list[str], dict[str, float]]:
    """The effect, the request types it rests on (latency only), and each type's own effect in per cent."""
    blocks = sorted(form.level(level, FAMILY[metric]))
    if metric in SCALARS:
        ratios = scalar_ratios(_scalar(form, metric, level), [_scalar(r, metric, level) for r in references], blocks)
        return estimate(ratios), [], {}
    of, base = _typed(form, metric, level), [_typed(reference, metric, level) for reference in references]
    able = [kind for kind in _common(of, base) if types is None or kind in types]
    each = {kind: typed_ratios(of, base, blocks, [kind]) for kind in able}
    per_type = {kind: percent(median(ratios)) for kind, ratios in each.items() if ratios}
    return estimate(typed_ratios(of, base, blocks, able)), able, per_type


def value(form: FormView, metric: str, level: str) -> float | dict[str, float] | None:
    """The median over blocks: a number, or one per request type for latency."""
    return scalar(form, metric, level) if metric in SCALARS else by_type(form, metric, level)


def scalar(form: FormView, metric: str, level: str) -> float | None:
    """The median over blocks."""
    found = list(_scalar(form, metric, level).values())
    return median(found) if found else None


def by_type(form: FormView, metric: str, level: str) -> dict[str, float]:
    """Request type -> the median over blocks, of a latency."""
    per_block = _typed(form, metric, level)
    types = sorted({kind for values in per_block.values() for kind in values})
    return {kind: median([values[kind] for values in per_block.values() if kind in values]) for kind in types}


def _scalar(form: FormView, metric: str, level: str) -> dict[int, float]:
    cells, pick = form.level(level, FAMILY[metric]), SCALARS[metric]
    return {block: number for block, view in cells.items() if (number := pick(view.figures)) is not None}


def _typed(form: FormView, metric: str, level: str) -> dict[int, dict[str, float]]:
    """Block -> request type -> milliseconds; a percentile that late sends moved too far is left out."""
    label, limit = LATENCIES[metric], form.late_shift_max
    cells = form.level(level, FAMILY[metric])
    kept = {block: view for block, view in cells.items() if limit is None or view.late_shift[label] <= limit}
    return {block: view.figures.percentiles(label) for block, view in kept.items()}


def _common(of: Mapping[int, Mapping[str, float]], base: Sequence[Mapping[int, Mapping[str, float]]]) -> list[str]:
    """Request types with enough requests in every block of the form, and in at least one reference of that block."""
    types = sorted({kind for values in of.values() for kind in values})
    return [
        kind
        for kind in types
        if all(kind in of[block] and any(kind in other.get(block, {}) for other in base) for block in of)
    ]


def _row(
    form: FormView,
    references: Sequence[FormView],
    against: str,
    metric: str,
    level: str,
    terms: Terms,
    twin_pct: float | None = None,
) -> Verdict:
    direct = against != "baseline"
    unequal = unequal_types(references[0].scores, form.scores) if direct else {}
    types = None if not direct else [kind for kind in form.requests if kind not in unequal]
    found, able, per_type = effect(form, references, metric, level, types)
    uncounted = (form.why_none("spans", level) or references[0].why_none("spans", level)) if direct else ""
    differs = _differs(metric, unequal, types)
    if uncounted:
        differs = f"whether they delivered the same spans is not known: {uncounted}"
    family = FAMILY[metric]
    invalid = _no_cell(form, references, metric, level)
    word, reasons = judge(
        Evidence(
            metric=metric,
            effect_pct=found.effect_pct if found else None,
            blocks=found.blocks if found else 0,
            grade=terms.grade,
            threshold_pct=terms.threshold(metric),
            fewest_blocks=terms.fewest_blocks,
            invalid=invalid,
            plain=not direct,
            twin_pct=twin_pct,
            biased=_biased(form, references, family),
            unequal=differs,
            saturated=_saturated([form], level) or _saturated(references, level),
            too_few=_too_few([form, *references], metric, level) if not invalid and found is None else "",
        )
    )
    shown = found if word != "NOT COMPARABLE" else None
    sides = [form, *references]
    return Verdict(
        form=form.name,
        against=against,
        metric=metric,
        level=level,
        effect_pct=shown.effect_pct if shown else None,
        low_pct=shown.low_pct if shown else None,
        high_pct=shown.high_pct if shown else None,
        mde_pct=shown.mde_pct if shown else None,
        blocks=found.blocks if found else 0,
        word=word,
        reasons=reasons,
        primary=metric in PRIMARY,
        threshold_pct=terms.threshold(metric),
        value=value(form, metric, level),
        reference_value=_reference_value(references, metric, level),
        per_block_pct=tuple(percent(ratio) for ratio in shown.ratios) if shown else (),
        types=tuple(able) if shown else (),
        per_type_pct=per_type if shown else {},
        unequal=unequal,
        evidence=tuple(
            f"{view.source.folder}/{CELL_FILE}" for side in sides for view in side.level(level, family).values()
        ),
    )


def _no_cell(form: FormView, references: Sequence[FormView], metric: str, level: str) -> str:
    """Why one side has no cell that is valid for this metric; "" when both have."""
    missing = [each.why_none(FAMILY[metric], level) for each in references]
    if not references:
        return form.why_none(FAMILY[metric], level) or "no uninstrumented form is in this run"
    return form.why_none(FAMILY[metric], level) or (missing[0] if all(missing) else "")


def _twin_pct(plain: Sequence[FormView], metric: str, level: str) -> float | None:
    """What the twin reads against the baseline alone, None without either."""
    base, twin = (next((form for form in plain if form.role == role), None) for role in ("baseline", "twin"))
    seen = effect(twin, [base], metric, level)[0] if base and twin else None
    return seen.effect_pct if seen else None


def _reference_value(references: Sequence[FormView], metric: str, level: str) -> float | None:
    """The mean of the references' medians; None for latency, which has one value per request type."""
    found = [value(reference, metric, level) for reference in references]
    plain = [number for number in found if isinstance(number, float)]
    return fmean(plain) if plain else None


def _too_few(sides: Sequence[FormView], metric: str, level: str) -> str:
    """Why there is no figure although both sides have valid cells."""
    if metric not in LATENCIES:
        return "no counter was read for it in a block that both sides have"
    label = LATENCIES[metric]
    moved = [v.late_shift[label] for side in sides for v in side.level(level, "latency").values()]
    limit = sides[0].late_shift_max
    if limit is not None and max(moved, default=0.0) > limit:
        return f"late sends added {max(moved):.1%} to it in a cell, limit {limit:.0%}"
    fewest = next(least for name, _, least in QUANTILES if name == label)
    return f"too few: a cell needs {fewest:,} answers of one request type"


def _differs(metric: str, unequal: Mapping[str, str], types: Sequence[str] | None) -> str:
    """Why two forms may not be ranked by this metric; latency can still be ranked over the types that are equal."""
    if not unequal or (metric in LATENCIES and types):
        return ""
    kind, difference = next(iter(unequal.items()))
    more = f"; {len(unequal)} request types differ" if len(unequal) > 1 else ""
    return f"they did not deliver the same spans ({kind}: {difference}{more})"


def _saturated(side: Sequence[FormView], level: str) -> str:
    """Why this load was too much for one side: half of its cells or more fell behind (one may be the host's doing)."""
    cells = [(form.name, view.queue) for form in side for view in form.level(level, "spans").values()]
    behind = [(name, queue) for name, queue in cells if queue is not None and queue.grew]
    if not behind or 2 * len(behind) < len(cells):
        return ""
    name, worst = min(behind, key=lambda found: found[1].answered / found[1].sent)
    return f"{name} could not carry this load: {worst.said()}"


def _biased(form: FormView, references: Sequence[FormView], family: str) -> str:
    """A form that lost more cells shows only its better ones. The pooled references count as one side.

    Shares differ when a cell was lost for good on one side only, or by more than one attempt: among so few attempts a
    single rerun tells nothing.
    """
    attempts = sum(len(reference.attempts) for reference in references)
    lost = sum(reference.invalid(family) for reference in references)
    if attempts == 0 or not form.attempts:
        return ""
    gone = [side.planned > len(side.cells(family)) for side in (form, *references)]
    mine = form.invalid(family)
    apart = abs(mine - lost / attempts * len(form.attempts))
    if apart <= 1 and (gone[0] == any(gone[1:])):
        return ""
    said = f"{mine} of {len(form.attempts)} cells of {form.name} were INVALID for {family}"
    return f"{said}, {lost} of {attempts} on the other side"
