"""What a show tells its two views and its takes: one closed union of plain data, in one order.

The speaker's terminal, the audience page, a take and a replay see the same records. A view keeps nothing else: one that
connects late gets all records so far and shows the same. What only the speaker may see is a class of its own below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from lab.guest.wire import Count

Source = Literal["live", "rehearsal", "replay"]
Outcome = Literal["passed", "missed", "recorded", "skipped", "stopped", "failed"]
Judgement = Literal["", "on", "a bit off", "off", "no baseline"]  # "": a value that nobody judges
SIMULATED: Final = {"ms": "simulated ms", "s": "simulated s"}  # by a clock that counts instructions: never judged


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatCard:
    """One beat as the list of beats shows it. `cut`: the shortest slot, in minutes, that still has it (0: all have)."""

    id: str
    title: str
    kind: str
    budget_s: float
    again: bool = False
    cut: float = 0.0
    usual_s: float | None = None  # from its start to the next beat's in rehearsals; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowStarted:
    """The first record of every show, rehearsal and replay. `forms` in the order in which they are drawn."""

    title: str
    beats: tuple[BeatCard, ...]
    slot_s: float
    cuts_min: tuple[float, ...] = ()  # the shorter slots of the show, the longest first
    forms: tuple[str, ...]
    source: Source
    machine: str
    clock: Literal["real", "counted"] = "real"
    began: str = ""  # UTC, ISO 8601: a replay shows its day
    mechanisms: dict[str, str] = field(default_factory=dict)  # of its forms; of the others what their names say


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatStarted:
    """A beat begins, or begins again (`attempt` 2, …). `recorded`: the day of the take that is played, "" when live."""

    beat: Count  # its index in the list of beats
    attempt: Count = 1
    recorded: str = ""
    forms: tuple[str, ...] = ()  # those that this beat shows
    machine: str = ""  # that it is played on, or that its take was recorded on
    clock: Literal["", "real", "counted"] = ""  # of that machine; "": the show's


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSpan:
    """One span of the reference, as a row of a waterfall. `depth` 0 is the root."""

    name: str
    kind: str
    depth: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent:
    """One request went into one form. `at_ms` counts from the beat's start, here and below."""

    at_ms: float
    form: str
    number: Count  # of the request within the beat: the same number is the same request in every form
    type: str
    wanted: tuple[WantedSpan, ...] = ()  # the reference's tree from top to bottom: the rows of every form's waterfall


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered:
    """Its answer. `status` as HTTP has it; 0 a transport error, -1 no answer in time."""

    at_ms: float
    form: str
    number: Count
    status: int
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanArrived:
    """One span, as it arrives. `start_ms`: since its request's start, by the machine's clock; `parent` "": a root."""

    at_ms: float
    form: str
    number: Count
    span: str
    parent: str
    name: str
    kind: str
    service: str
    start_ms: float
    duration_ms: float
    error: bool = False
    row: int = -1  # its place in `wanted` of the request; -1: not in the reference, or not known


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDone:
    """All spans that come for a request have come. `missing`: names of spans of the reference that did not."""

    at_ms: float
    form: str
    number: Count
    wanted: Count
    seen: Count
    missing: tuple[str, ...] = ()
    parents_missing: Count = 0
    ok: bool = True  # all spans that this form is known to give came, each where it is known to be
    reason: str = ""
    rows: dict[str, int] = field(default_factory=dict)  # span -> its place in `wanted` of the request, as found now


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half a second of load in one form. Cost per answered request by role, and spans: since the beat's start.

    The cost is CPU in ms; on a counted clock millions of instructions instead, and all times are simulated.
    """

    at_ms: float
    form: str
    number: Count
    rate_rps: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_ms: dict[str, float] = field(default_factory=dict)
    instructions: dict[str, float] = field(default_factory=dict)
    done: Count = 0  # answered since the beat's start
    spans_wanted: Count = 0
    spans_seen: Count = 0
    errors: Count = 0  # of those answered: not with what the scenario expects
    late: Count = 0
    draining: bool = False  # nothing is sent any more; spans are waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One figure of a beat against its rehearsed interval, in `unit`. `name` is stable: `cpu_per_request`, …

    ratio: to the twin (else the baseline) of the same moment, where there is one. low, high, usual: of the rehearsals,
    in `unit`; by_ratio: what was rehearsed is the ratio, and they are that range at the twin's value of this moment.
    """

    at_ms: float
    name: str
    title: str
    value: float
    unit: str
    form: str = ""
    ratio: float | None = None
    judged: Judgement = ""
    low: float | None = None
    high: float | None = None
    usual: float | None = None
    by_ratio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a command or a build printed."""

    at_ms: float
    text: str
    stream: Literal["out", "err"] = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Woven:
    """What a compile-time tool added to one file of the service: a unified diff, cut to what a screen takes."""

    at_ms: float
    form: str
    file: str
    diff: str
    added: Count
    files: Count  # that it changed
    lines: Count = 0  # that it added to all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAttached:
    """An agent is attached; `first_span_s` comes in a second record, after the first request that it saw."""

    at_ms: float
    form: str
    attach_s: float
    first_span_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PillarCell:
    """One form's words in one pillar. `evidence`: what they rest on, with its date and number of blocks."""

    form: str
    words: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pillar:
    """One row of the table of four pillars."""

    at_ms: float
    pillar: Literal["performance", "safety", "portability", "stability"]
    cells: tuple[PillarCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """Markdown for the audience."""

    at_ms: float
    markdown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a value is off, best first, and one sentence to say aloud. `name` is "" when no cause was found."""

    at_ms: float
    name: str
    evidence: str
    sentence: str
    value: str = ""  # the name of the value that it explains; "": none
    form: str = ""  # of that value


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatEnded:
    """The end of one attempt of a beat. `reason`: what was not seen, in one sentence."""

    beat: Count
    outcome: Outcome
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curtain:
    """The audience page is black, or shows again."""

    down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowEnded:
    """The last record."""

    seconds: float
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """For the speaker: what to say in this beat, and what must be seen."""

    beat: Count
    text: str
    expects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """For the speaker: host and machine now. `warnings` are sentences; empty means that all is well."""

    load: float  # runnable processes per CPU of this host
    machine: Literal["up", "silent", "gone", "restoring", "none"]  # none: no beat needs one
    battery: float | None = None  # 0 to 1; None: mains, or unknown
    views: Count = 0  # browsers that show the audience page
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """For the speaker: something that happened, such as a key that does nothing here."""

    text: str
    level: Literal["info", "warning"] = "info"


Private = Notes | Health | Remark
Public = (
    ShowStarted | BeatStarted | RequestSent | RequestAnswered | SpanArrived | RequestDone | Window | Value
    | Line | Woven | AgentAttached | Pillar | Slide | Cause | BeatEnded | Curtain | ShowEnded
)  # fmt: skip
StageEvent = Public | Private
PRIVATE: Final = (Notes, Health, Remark)
