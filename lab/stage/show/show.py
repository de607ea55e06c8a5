"""A show as data: its beats, what each must let the audience see, and what is done when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab.flows.request import DemoRequest
from lab.model.key import key
from lab.stage.beat.expect import Expect
from lab.stage.kinds.kind import Kind
from lab.stage.stream.events import BeatCard

STILL: Final = ("slide", "pillar")
ORDERS: Final = ("request", "load", "attach")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowKeys:
    """The keys at the top of a show file, beside `schema` and `beats`."""

    name: str = key("", "Name of the show: its takes are kept under it")
    title: str = key("", "Title, for the audience")
    scenario: str = key("http", "Scenario whose service and requests are used: a name, or a path beside the show file")
    forms: tuple[str, ...] = key(
        (),
        "Forms in the order in which they are drawn; figures are compared with `twin`, or without it with `baseline`",
    )
    slot_min: float = key(8.0, "Time that the speaker has", low=0.1, high=600)
    cuts_min: tuple[str, ...] = key((), "Shorter slots, longest first: beats are left out to fit them")
    seed: int = key(1, "Seed of the request stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatKeys:
    """The keys of every beat, beside `expect` and those of its kind."""

    id: str = key("", "Name of the beat within the show")
    title: str = key("", "Title, for the audience")
    kind: str = key("", "What the beat does")
    notes: str = key("", "What the speaker says; the audience does not see it")
    budget_s: float = key(30.0, "Longest time that the beat may take", low=0.1, high=3600)
    say_s: float = key(0.0, "Time that the speaker talks in this beat", low=0, high=3600)
    else_: Literal["retry", "take", "skip", "stop"] = key(
        "retry", "What is done when the expectation is not met; retry: once, then the take"
    )
    again: bool = key(default=False, text="Whether the beat may be repeated after it passed")
    cut: float = key(0.0, "Shortest slot, in minutes, that still has this beat; 0: every slot has it", low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One step of a show. `does`: the keys of its kind, which play it."""

    keys: BeatKeys
    does: Kind
    expect: tuple[Expect, ...] = ()

    @property
    def id(self) -> str:
        return self.keys.id

    @property
    def again(self) -> bool:
        """Whether it may be repeated: what does nothing to the machine always may."""
        return self.keys.again or self.keys.kind in STILL

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that it shows."""
        return self.does.named_forms

    @property
    def orders(self) -> bool:
        """Whether it gives orders to the forms on standby."""
        return self.keys.kind in ORDERS

    @property
    def needs_machine(self) -> bool:
        """Whether it asks the machine for something: by orders, or by a program in it."""
        return self.orders or self.does.on_machine

    def card(self) -> BeatCard:
        """As the list of beats shows it."""
        own = self.keys
        return BeatCard(id=own.id, title=own.title, kind=own.kind, budget_s=own.budget_s, again=self.again, cut=own.cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A show file, read and checked. `asked`: the scenario, service and forms that it names."""

    path: Path
    keys: ShowKeys
    beats: tuple[Beat, ...]
    asked: DemoRequest
    digest: str  # of the file's bytes

    @property
    def name(self) -> str:
        return self.keys.name

    @property
    def folder(self) -> Path:
        """Of the show file; of a linked one that of the link, as the paths in it are."""
        return self.path.parent.absolute()

    def within(self, minutes: float) -> tuple[Beat, ...]:
        """The beats of a slot of so many minutes."""
        return tuple(beat for beat in self.beats if beat.keys.cut <= minutes)
