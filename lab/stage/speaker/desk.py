"""What the speaker sees, as plain lines of styled text: records in, lines out. Draws nothing.

A line is a tuple of (text, style); the styles are those of the terminal's theme.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lab.stage.speaker.remarks import Remarks
from lab.stage.speaker.room import shortened
from lab.stage.speaker.why import Why
from lab.stage.speaker.words import Line, other_cause, told, value_line
from lab.stage.stream.events import (
    AgentAttached,
    BeatCard,
    BeatEnded,
    BeatStarted,
    Curtain,
    Health,
    Judgement,
    Notes,
    Outcome,
    Remark,
    RequestDone,
    ShowEnded,
    ShowStarted,
    Value,
    Window,
)
from lab.stage.stream.records import StageRecord

DIM: Final = "$text-muted"
BAD: Final = "bold $text-error"
ORDER: Final[dict[Judgement, int]] = {"off": 0, "a bit off": 1, "on": 2, "no baseline": 3, "": 4}
ENDS: Final[dict[Outcome, tuple[str, str]]] = {
    "passed": ("seen as it must be", "$text-success"),
    "missed": ("NOT SEEN", BAD),
    "failed": ("FAILED", BAD),
    "recorded": ("the take was shown", "$text-warning"),
    "skipped": ("skipped", "$text-muted"),
    "stopped": ("stopped", "$text-muted"),
}
LAST: Final[dict[type, str]] = {
    ShowStarted: "show",
    ShowEnded: "ended",
    Notes: "notes",
    Health: "health",
}
LATE_S: Final = 15.0


@dataclass(slots=True)
class Desk:
    """All that the views of the terminal are drawn from. Times are seconds since the show's start."""

    show: ShowStarted | None = None
    beat: BeatStarted | None = None
    began_s: float = 0.0
    over: BeatEnded | None = None
    ended: ShowEnded | None = None
    notes: Notes | None = None
    health: Health | None = None
    reasons: Why = field(default_factory=Why)
    curtain: bool = False
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)

    def note(self, record: StageRecord) -> None:
        """Take one record in."""
        event = record.event
        kept = LAST.get(type(event))
        if kept is not None:
            setattr(self, kept, event)
        self.reasons.note(event)
        match event:
            case BeatStarted():
                self.beat, self.began_s, self.over = event, record.at_s, None
                self.values, self.windows, self.told = {}, {}, {}
            case BeatEnded():
                self.over = event
                self.outcomes[event.beat] = event.outcome
            case Curtain(down=down):
                self.curtain = down
            case Value():
                self.values[event.name, event.form] = event
            case Window():
                self.windows[event.form] = event
            case RequestDone() | AgentAttached():
                self.told[event.form] = told(event, counted=self.counted)
            case Remark():
                self.remarks.add(event, record.at_s, waits=event.level == "warning")

    @property
    def cards(self) -> tuple[BeatCard, ...]:
        return self.show.beats if self.show is not None else ()

    @property
    def counted(self) -> bool:
        """Whether the clock of the machine that this beat is of counts instructions."""
        of_beat = self.beat.clock if self.beat is not None else ""
        return (of_beat or (self.show.clock if self.show is not None else "")) == "counted"

    @property
    def at(self) -> int:
        return self.beat.beat if self.beat is not None else -1

    @property
    def recorded(self) -> str:
        """The day of the take that is shown now; "" when it is live."""
        if self.beat is None or self.show is None:
            return ""
        return self.beat.recorded or ("an earlier show" if self.show.source == "replay" else "")

    def title(self) -> Line:
        """Where the show is."""
        if self.show is None or self.beat is None:
            return (("the show begins", "bold"),)
        card = self.cards[self.at]
        again = f" (attempt {self.beat.attempt})" if self.beat.attempt > 1 else ""
        return ((f"{self.at + 1}/{len(self.cards)} ", DIM), (card.title + again, "bold"), (f"  {card.kind}", DIM))

    def marks(self, *, private: bool = True, fits: Callable[[Line], bool] = lambda _: True) -> Line:
        """What must not be overlooked: nothing recorded is ever taken for live. private: why a beat failed as well, as
        much of it as fits."""
        reason = self.over.reason if private and self.over is not None else ""
        told = shortened(reason, lambda text: fits(self._marks(text))) if reason else ""
        return self._marks(told)

    def _marks(self, reason: str) -> Line:
        found: list[tuple[str, str]] = []
        if self.recorded:
            found.append((f" RECORDED {self.recorded} ", "bold $text-error reverse"))
        if self.curtain:
            found.append((" THE PAGE IS BLACK: b shows it ", "bold reverse"))
        if self.over is not None:
            text, style = ENDS[self.over.outcome]
            found.append((f"{text}: {reason}" if reason else text, style))
        if self.ended is not None:
            found.append((f"the show ended after {minutes(self.ended.seconds)}", "bold"))
        return tuple(part for one in found for part in (one, ("  ", "")))

    def usual_s(self, until: int) -> float | None:
        """When the rehearsals were at this beat; None where it is not known."""
        known = [card.usual_s for card in self.cards[: until + 1]]
        return sum(one or 0.0 for one in known[:until]) if all(one is not None for one in known) else None

    def clock(self, now_s: float) -> Line:
        """The show's time against its slot and its rehearsals, the beat's against its budget."""
        if self.show is None or self.beat is None:
            return (("--:--", DIM),)
        now_s = self.ended.seconds if self.ended is not None else now_s
        slot = self.show.slot_s
        over = now_s > slot
        parts = [(f"{minutes(now_s)} of {minutes(slot)}", BAD if over else "bold")]
        usual = self.usual_s(self.at)
        if usual is not None:
            late = self.began_s - usual
            word = "late" if late > 0 else "early"
            style = "$text-warning" if late > LATE_S else DIM
            told = f"{minutes(abs(late))} {word}" if abs(late) >= 1 else "on time"
            parts.append((f"  {told} by the rehearsals", style))
        card = self.cards[self.at]
        spent = self.over.seconds if self.over is not None else max(0.0, now_s - self.began_s)
        style = BAD if spent > card.budget_s else DIM
        parts.append((f"  beat {spent:.0f} of {card.budget_s:.0f} s", style))
        return tuple(parts)

    def wanted(self) -> list[Line]:
        """What this beat must show."""
        if self.notes is None:
            return []
        return [(("must be seen: ", DIM), (text, "")) for text in self.notes.expects]

    def shown(self, most: int) -> list[Line]:
        """The values of this beat, the worst first, each against its rehearsed interval."""
        if not self.values:
            texts = list(self.told.values()) or [told(one, counted=self.counted) for one in self.windows.values()]
            return [((text, ""),) for text in texts[:most]]
        ranked = sorted(self.values.values(), key=lambda value: ORDER[value.judged])
        return [value_line(value) for value in ranked[:most]]

    def say(self) -> list[Line]:
        """The sentence to say of a value that is off."""
        return [(("SAY: ", "bold $text-warning"), (one.sentence, "bold")) for one in self.reasons.causes[:1]]

    def why(self, *, private: bool = True) -> list[Line]:
        """The likeliest cause of that value, and what it rests on."""
        lines: list[Line] = []
        if self.reasons.causes and self.reasons.before and self.reasons.value is not None:
            lines.append((("before: ", DIM), *value_line(self.reasons.value)))
        first = self.reasons.causes[0] if self.reasons.causes and private else None
        if first is not None:
            lines.append(((f"{first.name or 'no cause found'}: ", "bold"), (first.evidence, "")))
        return lines

    def others(self, most: int) -> list[Line]:
        """The causes that are less likely."""
        return [((other_cause(one), DIM),) for one in self.reasons.causes[1 : most + 1]]

    def upcoming(self) -> Line:
        """The next beat."""
        if self.at + 1 >= len(self.cards):
            return (("next: ", DIM), ("the end of the show", ""))
        card = self.cards[self.at + 1]
        return (("next: ", DIM), (card.title, "bold"), (f"  {card.kind}, {card.budget_s:.0f} s", DIM))

    def ladder(self) -> Line:
        """Which of the beats to come fall out when the slot is cut: of each shorter slot what the one before keeps."""
        parts: list[tuple[str, str]] = []
        before: set[int] = set()
        for slot in self._shorter():
            out = {at for at, card in enumerate(self.cards) if at > self.at and card.cut > slot} - before
            if out:
                word = "also" if before else "leave out"
                parts.append((f"for {slot:g} min {word} {', '.join(str(at + 1) for at in sorted(out))}  ", ""))
            before |= out
        return (("cuts: ", DIM), *(parts or [("nothing to leave out", DIM)]))

    def _shorter(self) -> list[float]:
        """The slots below this one. A recording without them has those that its beats name."""
        if self.show is None:
            return []
        known = set(self.show.cuts_min) or {card.cut for card in self.cards if card.cut}
        return sorted((slot for slot in known if slot * 60 < self.show.slot_s), reverse=True)

    def all_beats(self) -> list[Line]:
        """Every beat with its number, for jumps, and how it went."""
        lines: list[Line] = []
        for at, card in enumerate(self.cards):
            text, style = ENDS[self.outcomes[at]] if at in self.outcomes else ("", "")
            here = "bold reverse" if at == self.at else ""
            lines.append(((f"{at + 1:>3}  {card.title}", here), (f"  {text}", style)))
        return lines

    def state(self) -> Line:
        """Host, machine and page."""
        if self.health is None:
            return (("health: ", DIM), ("not known yet", DIM))
        here = self.health
        well = {"up": "machine up", "none": "no machine"}.get(here.machine)
        machine = (well, "") if well else (f"machine {here.machine.upper()}", "bold $text-error")
        battery = "" if here.battery is None else f" · battery {here.battery:.0%}"
        views = (
            "no browser shows the page" if not here.views else f"page in {here.views} browser{'s'[: here.views > 1]}"
        )
        warned = tuple((f" · {text}", "$text-warning") for text in here.warnings)
        return (("health: ", DIM), machine, (f" · load {here.load:.1f}{battery} · {views}", ""), *warned)


def minutes(seconds: float) -> str:
    """Time as a clock shows it."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
