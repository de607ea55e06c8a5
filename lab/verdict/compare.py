"""The rows of `verdicts[]`: each instrumented form against the baseline, and form against form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Final

from lab.model.metrics import ALL_LEVELS, REAL, Metric, applicable, primary
from lab.model.paths import CELL_FILE
from lab.model.summary import Verdict
from lab.verdict import paired
from lab.verdict.absent import no_cell, too_few
from lab.verdict.biased import biased
from lab.verdict.cells.completeness import unequal_types
from lab.verdict.cells.observe import FormView
from lab.verdict.effects import ALPHA, Effect, percent
from lab.verdict.rules import EARNED, Evidence, judge, lost
from lab.verdict.signed_rank import fewest_blocks

BASELINE: Final = "baseline"
DECIDED: Final = frozenset({"COSTS MORE", "COSTS LESS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Conditions fixed before the run, and the grade. levels: in order of their rates; the middle one is primary."""

    grade: str
    levels: tuple[str, ...]
    instrumented: int
    clock: str = REAL
    named: tuple[str, ...] = ()  # the primary metrics that the scenario names
    threshold_pct: Mapping[str, float] = field(default_factory=dict)
    floor_pct: Mapping[str, float] = field(default_factory=dict)
    seen: Mapping[str, bool] = field(default_factory=dict)  # control -> whether it was detected
    unseen: Mapping[str, str] = field(default_factory=dict)  # control -> why that is unknown

    def threshold(self, metric: Metric) -> float:
        given = self.threshold_pct
        return given.get(metric.name, given.get(metric.instead_of, metric.threshold_pct))

    @property
    def thresholds(self) -> dict[str, float]:
        """Of every metric on this clock, in whatever number of levels."""
        return {metric.name: self.threshold(metric) for metric in applicable(self.clock, 2)}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return applicable(self.clock, len(self.levels))

    @property
    def primary(self) -> tuple[str, ...]:
        return primary(self.named, self.clock)

    @property
    def level(self) -> str:
        """The middle level."""
        return self.levels[len(self.levels) // 2] if self.levels else ""

    @property
    def family(self) -> int:
        """The number of primary comparisons against the baseline."""
        return self.instrumented * len(self.primary)

    @property
    def fewest_blocks(self) -> int:
        return fewest_blocks(self.family)

    def may_earn(self, metric: Metric, level: str) -> bool:
        return metric.name in self.primary and level == self.level

    def alpha(self, metric: Metric, level: str, *, direct: bool = False) -> float:
        """Simultaneous over the family of primary comparisons; pairs of forms are a separate family."""
        if not self.may_earn(metric, level):
            return ALPHA
        pairs = self.instrumented * (self.instrumented - 1) // 2 * len(self.primary)
        return ALPHA / max(1, self.family, pairs if direct else 0)

    def at(self, metric: Metric) -> tuple[str, ...]:
        return (ALL_LEVELS,) if metric.fit else self.levels


def rows(forms: Mapping[str, FormView], terms: Terms) -> list[Verdict]:
    """All comparisons of the run, form against baseline first.

    Two forms are ranked only where one of them differs from the baseline: so more pairs do not raise the rate of false
    findings in a run without differences.
    """
    plain = [form for form in forms.values() if form.role in {"baseline", "twin"}]
    instrumented = [form for form in forms.values() if form.role == "instrumented"]
    every = [(metric, level) for level in (*terms.levels, ALL_LEVELS) for metric in terms.metrics]
    every = [(metric, level) for metric, level in every if level in terms.at(metric)]
    noise = {(metric.name, level): twin_effect(plain, metric, level, terms) for metric, level in every}
    alone = [
        _row(form, plain, BASELINE, metric, level, terms, noise[metric.name, level])
        for form in instrumented
        for metric, level in every
        if "spans" not in metric.families  # the baseline delivers none
    ]
    apart = {(row.form, row.metric, row.level) for row in alone if row.word in DECIDED}
    pairs = [
        _row(
            *(other, [one], one.name, metric, level, terms, noise[metric.name, level]),
            apart=not apart.isdisjoint((form.name, metric.name, level) for form in (one, other)),
        )
        for one, other in combinations(instrumented, 2)
        for metric, level in every
    ]
    return [*alone, *pairs]


def levels(forms: Mapping[str, FormView], rates: Mapping[str, float]) -> tuple[str, ...]:
    """The levels by rate, the lowest first."""
    found = {level for form in forms.values() for level in form.levels}
    return tuple(sorted(found, key=lambda level: (rates.get(level, 0.0), level)))


def twin_effect(plain: Sequence[FormView], metric: Metric, level: str, terms: Terms) -> Effect | None:
    """The twin against the baseline alone (against the mean of both it would be half as large)."""
    base, twin = (next((form for form in plain if form.role == role), None) for role in ("baseline", "twin"))
    if base is None or twin is None:
        return None
    return paired.effect(twin, [base], metric, level, alpha=terms.alpha(metric, level))[0]


def _row(
    form: FormView,
    references: Sequence[FormView],
    against: str,
    metric: Metric,
    level: str,
    terms: Terms,
    twin: Effect | None,
    *,
    apart: bool = True,
) -> Verdict:
    direct = against != BASELINE
    unequal = unequal_types(references[0].tallies(level), form.tallies(level)) if direct else {}
    types = None if not direct else [kind for kind in form.requests(level) if kind not in unequal]
    alpha = terms.alpha(metric, level, direct=direct)
    found, able, per_type = paired.effect(form, references, metric, level, types=types, alpha=alpha)
    sides = [form, *references]
    uncounted = next((why for side in sides if (why := side.why_none("spans", level=level))), "") if direct else ""
    invalid = no_cell(form, references, metric, level)
    full = _saturated(form, references, terms.levels if metric.fit else [level])
    word, reasons = judge(
        Evidence(
            metric=metric,
            effect=found,
            grade=terms.grade,
            threshold_pct=terms.threshold(metric),
            fewest_blocks=fewest_blocks(round(ALPHA / alpha)),
            floor_pct=terms.floor_pct.get(metric.name),
            control_seen=terms.seen.get(metric.control),
            control_unknown=terms.unseen.get(metric.control, ""),
            plain=not direct,
            twin=twin,
            invalid=invalid,
            biased=biased(form, references, metric, level, able, full=bool(full)),
            unequal=_differs(metric, unequal, types, uncounted),
            saturated=full,
            descriptive="" if terms.may_earn(metric, level) else "not a primary metric",
            too_few=too_few(sides, metric, level, types) if not invalid and found is None else "",
        )
    )
    if word in DECIDED and not apart:
        word, reasons = "CAN'T TELL", ("neither of the two differs from the baseline",)
    shown = found if word != "NOT COMPARABLE" else None
    return Verdict(
        form=form.name,
        against=against,
        metric=metric.name,
        level=level,
        effect_pct=shown.effect_pct if shown else None,
        low_pct=shown.low_pct if shown else None,
        high_pct=shown.high_pct if shown else None,
        confidence=shown.level if shown else None,
        mde_pct=shown.mde_pct if shown else None,
        lost=lost(shown, twin, terms.threshold(metric)) if shown and word not in EARNED else "",
        range_pct=shown.range_pct if shown else (),
        blocks=found.blocks if found else 0,
        word=word,
        reasons=reasons,
        primary=terms.may_earn(metric, level),
        threshold_pct=terms.threshold(metric),
        floor_pct=terms.floor_pct.get(metric.name),
        value=paired.value(form, metric, level),
        reference_value=_reference_value(references, metric, level),
        per_block_pct=tuple(percent(ratio) for ratio in shown.ratios) if shown else (),
        types=tuple(able) if shown else (),
        per_type_pct=per_type if shown else {},
        unequal=unequal,
        evidence=tuple(
            f"{view.source.folder}/{CELL_FILE}" for side in sides for view in paired.cells(side, metric, level)
        ),
    )


def _reference_value(references: Sequence[FormView], metric: Metric, level: str) -> float | None:
    """The mean of the references' medians; None for latency, which has one value per request type."""
    found = [paired.value(reference, metric, level) for reference in references]
    plain = [number for number in found if isinstance(number, float)]
    return fmean(plain) if plain else None


def _differs(metric: Metric, unequal: Mapping[str, str], types: Sequence[str] | None, uncounted: str) -> str:
    """Why two forms are not comparable by this metric; latency is still comparable over the equal types."""
    if uncounted:
        return f"it is unknown whether they delivered the same spans: {uncounted}"
    if not unequal or (metric.quantile and types):
        return ""
    kind, difference = next(iter(unequal.items()))
    more = f"; {len(unequal)} request types differ" if len(unequal) > 1 else ""
    return f"they did not deliver the same spans ({kind}: {difference}{more})"


def _saturated(form: FormView, references: Sequence[FormView], levels: Sequence[str]) -> str:
    """Why a figure of these levels is that of a saturated side; of a fit, one level is enough to bend it."""
    sides = ([form], references)
    return next((why for level in levels for side in sides if (why := _behind(side, level))), "")


def _behind(side: Sequence[FormView], level: str) -> str:
    """Why one side is saturated: at least half of its cells fell behind (a single one may be due to the host)."""
    cells = [(form.name, view) for form in side for view in form.loaded(level)]
    behind = [(name, view.queue) for name, view in cells if view.queue is not None and view.saturated]
    if not behind or 2 * len(behind) < len(cells):
        return ""
    name, worst = min(behind, key=lambda found: found[1].answered / found[1].sent)
    return f"{name} did not sustain this load: {worst.said()}"
