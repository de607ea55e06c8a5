"""summary.json, schema 2: the verdict on a run, and the only source of every figure in its reports.

The keys are stable. A new key has a default, so that the summary of an older run can still be read.
lab/verdict/summary.schema.json is generated from these classes. None: not measured or not counted, which is not zero.
`evidence`: files of the run. A metric's name ends in its unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from lab.guest.wire import Count, WireError
from lab.model.facts import HostFingerprint, MachineFacts
from lab.model.run import LeftOut
from lab.model.summary_controls import Controls
from lab.model.summary_form import Cells, FormSummary, Texts, Trace

SCHEMA: Final = 2
GradeWord = Literal["counted", "emulated", "noisy", "limited", "ready"]
Word = Literal[
    "INVALID", "BIASED", "NOT COMPARABLE", "SATURATED", "INDICATIVE", "COSTS MORE", "COSTS LESS", "SAME", "CAN'T TELL"
]
UNSAFE: Final[frozenset[Word]] = frozenset({"BIASED", "SATURATED"})  # what such a figure says may be the load's or luck
SIMULATED: Final = "the machine counts instructions: its time is simulated"  # as the metric's name says there


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """The quality grade of the machine's figures."""

    word: GradeWord
    reasons: Texts


# --- comparisons -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One metric of one form against the baseline or another form, and its verdict word."""

    form: str
    against: str
    metric: str
    level: str
    effect_pct: float | None
    low_pct: float | None
    high_pct: float | None
    confidence: float | None = None  # of the interval
    mde_pct: float | None  # the smallest effect that nine of ten such runs would detect
    lost: str = ""  # the noise in which the effect is lost; then no report prints its size
    range_pct: tuple[float, ...] = ()  # without an interval: low and high by one garbage collection more or less
    blocks: Count
    word: Word
    reasons: Texts
    primary: bool
    threshold_pct: float
    floor_pct: float | None = None  # noise floor from earlier sessions; None: too few of them
    value: float | dict[str, float] | None  # latency: by request type
    reference_value: float | None
    per_block_pct: tuple[float, ...]
    types: Texts  # request types that a latency is from
    per_type_pct: dict[str, float]
    unequal: dict[str, str]  # request type -> how the spans of the two differ
    evidence: Texts

    def beside(self, word: str) -> str:
        """Its own word and first reason, in a place that shows another word; "" where that is the same word."""
        if self.word == word:
            return ""
        why = next(iter(self.reasons), "")
        return f"{self.word}: {why}" if why and why != SIMULATED else self.word


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One form against the baseline or another form, in a sentence."""

    form: str
    against: str
    word: Word
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PillarClaim:
    """A published claim, this run's measurement of it, and the confidence in that."""

    pillar: str  # performance | safety | portability | stability
    mechanism: str
    claim: str
    measured: str
    evidence: Texts
    confidence: str


# --- the session -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Milliseconds, and the share of requests answered by then."""

    form: str
    type: str
    points: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedGate:
    """A missed gate of an attempt; a hard one voids the families that it affects."""

    gate: str
    value: float
    limit: float
    hard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAttempt:
    """One attempt of one cell. void: family of figures -> why not. Seconds from the first window's start.

    cost: of one request, in the unit of the clock's CPU metric; None where it is void. as_counted: the same before
    collections of garbage were spread over the cells of the life. collections: how many it had, by role.
    """

    cell: str
    form: str
    block: Count
    level: str = ""
    attempt: Count
    valid: bool
    void: dict[str, Texts]
    reasons: Texts
    start_s: float
    end_s: float
    window_s: float | None = None  # by the clock that figures are per second of; None: an earlier version wrote none
    rate_rps: float
    achieved_rps: float
    scheduled: Count
    completed: Count
    late: Count
    sentinel_s: float
    steal_s: float
    queue: tuple[float, ...]
    saturated: bool
    clock_shift_ms: float
    missed: tuple[MissedGate, ...]
    gates: Count
    disagreements: Texts
    cost: float | None = None
    as_counted: float | None = None
    collections: dict[str, Count] = field(default_factory=dict)
    evidence: str

    @property
    def settled(self) -> bool:
        """Valid, or saturated: too much load is a finding, and no fault of the cell."""
        return self.valid or self.saturated

    @property
    def answered_rps(self) -> float:
        """Answered requests by the whole window, which has the drain after the last one too; of no window 0."""
        seconds = self.end_s - self.start_s if self.window_s is None else self.window_s
        return self.completed / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStep:
    """One step of the host; seconds: None where it did not end."""

    title: str
    depth: Count
    seconds: float | None
    outcome: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The weight of a request type in the mix."""

    type: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything needed to repeat or review the run."""

    created: str
    command: Texts
    seed: int
    provider: str
    acceleration: str
    host: HostFingerprint
    guest: dict[str, object]
    toolchain: dict[str, str]
    lab_version: str
    plan_sha256: str
    guest_manifest_sha256: str
    playbook_sha256: str
    image_id: str
    layout: str
    service: str
    topology: str
    arrivals: str
    mix: tuple[Part, ...]
    files: Count
    bytes: Count
    trap_ns: float | None = None  # CPU time of one uprobe trap on the host
    schema: int = 1  # of the run's manifest
    terms_sha256: dict[str, str] = field(default_factory=dict)  # of its requests, gates and thresholds
    terms: dict[str, str] = field(default_factory=dict)  # field of them -> its value: gates.late_shift_max -> 0.02
    rates_rps: tuple[float, ...] = ()  # of the planned cells, also of one that did not run; the lowest first
    requests_per_cell: tuple[Count, ...] = ()  # of the planned cells, by rate
    never_sent: Texts = ()  # types of the mix of which no cell was to send a request

    def __post_init__(self) -> None:
        try:
            self.machine  # noqa: B018 - a fact of a wrong type is refused where the summary is read
        except WireError as error:
            raise error.inside("guest") from None

    @property
    def machine(self) -> MachineFacts:
        """The facts of `guest` that decide something."""
        return MachineFacts.of(self.guest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary of a run. unproven: form -> why its proof failed; ecdf: latency; problems: sentences."""

    schema: Literal[2]
    run_id: str
    scenario: str
    scenario_title: str
    profile: str
    clock: str = "real"  # counted: by executed instructions
    grade: Grade
    outcome: Literal["complete", "failed", "incomplete"]
    cells: Cells
    fewest_blocks: Count
    forms: dict[str, FormSummary]
    left_out: tuple[LeftOut, ...]
    verdicts: tuple[Verdict, ...]
    lines: tuple[Sentence, ...]
    may_not_claim: Texts
    unproven: dict[str, str]
    pillars: tuple[PillarClaim, ...]
    controls: Controls
    traces: tuple[Trace, ...]
    ecdf: tuple[Curve, ...]
    timeline: tuple[CellAttempt, ...]
    steps: tuple[HostStep, ...]
    provenance: Provenance
    problems: Texts

    @property
    def level(self) -> str:
        """The load level of the primary comparisons; "" for a run without any."""
        return next((row.level for row in self.verdicts if row.primary), "")

    def verdict(self, form: str, against: str, metric: str) -> Verdict | None:
        """The comparison at the primary level, else the one with the most blocks, if any."""
        level = self.level
        wanted = (form, against, metric)
        found = [row for row in self.verdicts if (row.form, row.against, row.metric) == wanted]
        most = max(found, key=lambda row: row.blocks, default=None)
        return next((row for row in found if row.level == level), most)
