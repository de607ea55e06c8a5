"""Several runs side by side: whether they are comparable, and their verdicts on the same comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.model.figures import interval, stated
from lab.model.metrics import METRICS
from lab.model.summary import Summary, Word
from lab.verdict.conditions import conditions, hardware

SHOWN: Final = 12  # digits of a digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerdict:
    """The verdict of one run. word: None when it has no such comparison."""

    run_id: str
    word: Word | None
    effect_pct: float | None
    low_pct: float | None
    high_pct: float | None
    lost: str

    @property
    def judged(self) -> bool:
        """INVALID is no verdict: nothing was measured."""
        return self.word not in {None, "INVALID"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One primary comparison in every run. apart: percentage points between the runs farthest apart."""

    form: str
    against: str
    metric: str
    readings: tuple[RunVerdict, ...]
    apart: float | None
    words_equal: bool
    overlap: bool | None  # whether one effect lies in the intervals of all; None: a run has no interval


def repeated(runs: Sequence[Summary]) -> list[str]:
    """Ids that more than one of these has: a run agrees with itself."""
    ids = [run.run_id for run in runs]
    return [one for one in dict.fromkeys(ids) if ids.count(one) > 1]


def unlike(runs: Sequence[Summary]) -> dict[str, str]:
    """Why these runs are not comparable: condition in which they differ -> its values."""
    found = {}
    for what, values in conditions(runs).items():
        if len(set(values)) > 1:
            found[what] = ", ".join(f"{value} ({run.run_id})" for value, run in zip(values, runs, strict=True))
    return found


def differences(runs: Sequence[Summary]) -> list[str]:
    """The same as texts."""
    return [f"{what}: {values}" for what, values in unlike(runs).items()]


def side_by_side(runs: Sequence[Summary]) -> list[Comparison]:
    """Each primary comparison of any run, in an order that does not depend on that of the runs."""
    keys = {
        (row.form, row.against, row.metric): None
        for run in sorted(runs, key=lambda run: run.run_id)
        for row in run.verdicts
        if row.primary
    }
    return [_row([_reading(run, *key) for run in runs], *key) for key in keys]


def _reading(run: Summary, form: str, against: str, metric: str) -> RunVerdict:
    row = run.verdict(form, against, metric)
    if row is None:
        return RunVerdict(run_id=run.run_id, word=None, effect_pct=None, low_pct=None, high_pct=None, lost="")
    return RunVerdict(
        run_id=run.run_id,
        word=row.word,
        effect_pct=row.effect_pct,
        low_pct=row.low_pct,
        high_pct=row.high_pct,
        lost=row.lost,
    )


def _row(readings: Sequence[RunVerdict], form: str, against: str, metric: str) -> Comparison:
    effects = [reading.effect_pct for reading in readings if reading.effect_pct is not None]
    lows = [reading.low_pct for reading in readings if reading.low_pct is not None]
    highs = [reading.high_pct for reading in readings if reading.high_pct is not None]
    return Comparison(
        form=form,
        against=against,
        metric=metric,
        readings=tuple(readings),
        apart=max(effects) - min(effects) if len(effects) == len(readings) else None,
        words_equal=len({reading.word for reading in readings}) == 1 and all(reading.judged for reading in readings),
        overlap=max(lows) <= min(highs) if len(lows) == len(readings) else None,
    )


def about(run: Summary) -> str:
    """One run of the comparison in a line: date, machine, versions."""
    of = run.provenance
    tools = ", ".join(f"{name} {version}" for name, version in sorted(of.toolchain.items()))
    return f"{run.run_id}: {of.created}, {hardware(run)}, lab {of.lab_version}, {tools}"


def built_apart(runs: Sequence[Summary]) -> list[str]:
    """A line for each form that is not the same program, or has not the same agent, in all runs that have it."""
    found = []
    for name in dict.fromkeys(name for run in runs for name in run.forms):
        has = [(run.run_id, run.forms[name]) for run in runs if name in run.forms]
        for what, digests in (
            ("program", [(run_id, form.sha256) for run_id, form in has]),
            ("agent", [(run_id, form.agent_sha256) for run_id, form in has]),
        ):
            if len({digest for _, digest in digests}) > 1:
                each = ", ".join(f"{digest[:SHOWN] or 'unknown'} ({run_id})" for run_id, digest in digests)
                found.append(f"{name}: another {what} in each: {each}")
    return found


def lines(rows: Sequence[Comparison]) -> list[str]:
    """As text: the comparison, each run's verdict, and how far they are apart."""
    found = []
    for row in rows:
        found.append(f"{row.form} against {row.against}, {METRICS[row.metric].title}:")
        for one in row.readings:
            if one.word is None:
                found.append(f"  {one.run_id}: not in this run")
                continue
            sure = "" if one.lost or one.low_pct is None else f" ({interval(one.low_pct, one.high_pct)})"
            found.append(f"  {one.run_id}: {stated(one.effect_pct, one.lost)}{sure}, {one.word}")
        if not all(one.judged for one in row.readings):
            found.append("  no common verdict")
            continue
        lost = any(one.lost for one in row.readings)
        apart = "" if row.apart is None or lost else f"{row.apart:.1f} percentage points apart; "
        overlap = {None: "", True: "; their intervals overlap", False: "; their intervals do not overlap"}[row.overlap]
        found.append(f"  {apart}{'the same verdict' if row.words_equal else 'different verdicts'}{overlap}")
    return found
