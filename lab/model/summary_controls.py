"""The controls of a run in summary.json: what the twin and the known delays read."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.guest.wire import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlEffect:
    """The effect of a control: of the twin against the baseline, of a delay against the mean of both."""

    effect_pct: float
    low_pct: float | None
    high_pct: float | None
    confidence: float | None = None
    lost: str = ""  # as of a verdict
    blocks: Count
    per_block_pct: tuple[float, ...] = ()

    @property
    def widest_pct(self) -> float:
        """The end of the interval that is farther from zero; without an interval the effect itself."""
        return max(abs(self.low_pct or 0.0), abs(self.high_pct or 0.0), abs(self.effect_pct))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(ControlEffect):
    """A known delay; realised_pct: its real size; seen, near: whether it was detected, and with the right size."""

    form: str
    metric: str
    seen: bool | None
    near: bool | None
    realised_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The twin by metric, and the two delays; empty where a control has no figure.

    absent: twin, cpu or wait -> metric -> why it has none.
    """

    twin: dict[str, ControlEffect] = field(default_factory=dict)
    delay_cpu: Delay | None = None
    delay_wait: Delay | None = None
    absent: dict[str, dict[str, str]] = field(default_factory=dict)
