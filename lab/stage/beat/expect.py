"""What must be seen in a beat. Each form is a dataclass: its first field is the key that names it in the show file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.model.figures import amount
from lab.model.key import key
from lab.stage.beat import matching
from lab.stage.beat.form_names import TWIN
from lab.stage.stream import events

MOST: Final = 8_000_000  # characters of what is printed that are kept to be searched


@dataclass(slots=True)
class Seen:
    """What a beat has shown so far."""

    values: list[events.Value] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    requests: list[events.RequestDone] = field(default_factory=list)
    spans: list[events.SpanArrived] = field(default_factory=list)
    cells: list[tuple[str, events.PillarCell]] = field(default_factory=list)  # with their pillar
    left: int = field(default_factory=lambda: MOST)  # characters that are still kept; below 0: some were not

    def note(self, event: events.StageEvent) -> None:
        match event:
            case events.Value():
                self.values.append(event)
            case events.Line(text=text) | events.Slide(markdown=text) | events.Woven(diff=text):
                if self.left >= 0:
                    self.left -= len(text) + 1
                if self.left >= 0:
                    self.texts.append(text)
            case events.RequestDone():
                self.requests.append(event)
            case events.SpanArrived():
                self.spans.append(event)
            case events.Pillar():
                self.cells += [(event.pillar, cell) for cell in event.cells]

    def last(self, name: str, form: str) -> list[events.Value]:
        """The last value of that name in each form; in one form, where it is given."""
        of = {value.form: value for value in self.values if value.name == name and form in ("", value.form)}
        return list(of.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line that the beat prints matches."""

    text: str = key("", "Regular expression, searched in all that the beat prints; ^ and $ are ends of lines")

    def fault(self) -> str:
        return matching.fault(self.text)

    def missed(self, seen: Seen) -> str:
        reason = matching.look(self.text, seen.texts).why
        cut = f" in the first {MOST} characters that it printed" if reason and seen.left < 0 else ""
        return f"{reason}{cut}"

    def told(self) -> str:
        return f"a line like {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InRange:
    """A value lies in a range."""

    value: str = key("", "Name of a value of the beat")
    form: str = key("", "Form that it is about; default: each form that has it")
    at_least: float = key(-math.inf, "Lowest value that passes", low=None)
    at_most: float = key(math.inf, "Highest value that passes", low=None)
    ratio: bool = key(default=False, text="Look at its ratio to the twin or the baseline instead")

    def fault(self) -> str:
        if self.at_least > self.at_most:
            return f"nothing is at least {self.at_least:g} and at most {self.at_most:g}"
        if math.isinf(self.at_least) and math.isinf(self.at_most):
            return "needs at_least or at_most"
        return ""

    def missed(self, seen: Seen) -> str:
        found = seen.last(self.value, self.form)
        if not found:
            return f"no value {self.value}{f' of {self.form}' if self.form else ''} was measured"
        if self.ratio and not self.form:  # what the others are compared with has no ratio itself
            found = [one for one in found if one.ratio is not None] or found
        for one in found:
            number = one.ratio if self.ratio else one.value
            if number is None:
                return f"{one.title} of {one.form} has no ratio: {_no_ratio(one, seen)}"
            if not self.at_least <= number <= self.at_most:
                unit = " times the baseline" if self.ratio else f" {one.unit}"
                return f"{' of '.join(filter(None, (one.title, one.form)))} is {amount(number)}{unit}, not {self.range}"
        return ""

    @property
    def range(self) -> str:
        low = "" if math.isinf(self.at_least) else f"at least {self.at_least:g}"
        high = "" if math.isinf(self.at_most) else f"at most {self.at_most:g}"
        return " and ".join(filter(None, (low, high)))

    def told(self) -> str:
        return f"{self.value}{f' of {self.form}' if self.form else ''} {self.range}"


def _no_ratio(value: events.Value, seen: Seen) -> str:
    if value.unit in events.SIMULATED.values():
        return "its time is simulated, on a machine that counts instructions"
    beside = {one.form: one for one in seen.last(value.name, "")}
    reference = next((name for name in TWIN if name in beside), "")
    if not reference:
        return f"neither {' nor '.join(TWIN)} was measured beside it"
    return "it is what the others are compared with" if reference == value.form else f"that of {reference} is 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """The spans of each request in a form have this shape."""

    spans: str = key("", "Form whose spans are looked at")
    at_least: int = key(1, "Fewest spans of a request")
    names: tuple[str, ...] = key((), "Names of spans, each of which must be there in each request")
    whole: bool = key(
        default=False,
        text="Every span came that the form is expected to give, each under its parent; the service must have an"
        " expectation for the form",
    )

    def fault(self) -> str:
        return ""

    def missed(self, seen: Seen) -> str:
        of = [one for one in seen.requests if one.form == self.spans]
        if not of:
            return f"no request of {self.spans} was answered with its spans in time"
        for one in of:
            if one.seen < self.at_least:
                return f"request {one.number} in {self.spans} gave {one.seen} spans, not at least {self.at_least}"
            if self.whole and not one.ok:
                lost = f"; missing: {', '.join(one.missing)}" if one.missing else ""
                return f"request {one.number} in {self.spans}: {one.reason or 'not as expected'}{lost}"
            there = {span.name for span in seen.spans if (span.form, span.number) == (one.form, one.number)}
            if absent := [name for name in self.names if name not in there]:
                return f"request {one.number} in {self.spans} gave no span {', '.join(absent)}"
        return ""

    def told(self) -> str:
        shape = "all expected spans" if self.whole else f"{self.at_least} spans or more"
        return f"{shape} in {self.spans}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWord:
    """The words of a pillar's cell hold a word."""

    verdict: str = key("", "Word that must be in the cell, in upper or lower case")
    form: str = key("", "Form whose cell it is; default: any cell")

    def fault(self) -> str:
        return ""

    def missed(self, seen: Seen) -> str:
        cells = [cell for _, cell in seen.cells if self.form in ("", cell.form)]
        if any(self.verdict.lower() in cell.words.lower() for cell in cells):
            return ""
        there = "; ".join(f"{cell.form}: {cell.words}" for cell in cells) or "nothing"
        return f"no cell says {self.verdict!r} (there is {there})"

    def told(self) -> str:
        return f"the verdict {self.verdict!r}{f' for {self.form}' if self.form else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Values lie inside their rehearsed interval. One without a baseline passes: nothing is known against it."""

    inside: Literal["rehearsed"] = key("rehearsed", "The interval that is meant")
    values: tuple[str, ...] = key((), "Names of values of the beat; default: each value that it has")

    def fault(self) -> str:
        return ""

    def missed(self, seen: Seen) -> str:
        last = {(one.name, one.form): one for one in seen.values if not self.values or one.name in self.values}
        absent = [name for name in self.values if name not in {value for value, _ in last}]
        if absent:
            return f"no value {', '.join(absent)} was measured"
        off = [one for one in last.values() if one.judged == "off"]
        return "; ".join(
            f"{' of '.join(filter(None, (one.title, one.form)))} is {amount(one.value)} {one.unit},"
            f" rehearsed {amount(one.low or 0.0)} to {amount(one.high or 0.0)}"
            for one in off
        )

    def told(self) -> str:
        return f"{', '.join(self.values) or 'every value'} inside the rehearsed interval"


Expect = Text | InRange | Spans | VerdictWord | Inside
FORMS: Final[dict[str, type[Expect]]] = {
    "text": Text,
    "value": InRange,
    "spans": Spans,
    "verdict": VerdictWord,
    "inside": Inside,
}
