"""What all kinds of beats have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lab.model.form import Form
from lab.model.loading.yamlspec import nearest
from lab.stage.beat.scene import Scene

Faults = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What of its show a beat's keys are held against. What cannot be read is empty, and nothing is held against it."""

    forms: Mapping[str, Form] = field(default_factory=dict)  # of the show
    requests: tuple[str, ...] = ()  # request types of the scenario
    budget_s: float = math.inf
    kept: tuple[str, ...] = ()  # forms to which a beat attaches an agent that stays
    unknown: tuple[str, ...] = ()  # forms of which the service does not say which spans they give

    def no_request(self, name: str) -> str:
        """Why no such request can be sent; "" when it can."""
        if not name or not self.requests or name in self.requests:
            return ""
        known = ", ".join(self.requests)
        return f"the scenario has no request type {name!r}{nearest(name, self.requests)} (known: {known})"


def of_show(names: Sequence[str]) -> str:
    """The forms of a show among which one is to be chosen, behind a sentence."""
    return f" (of this show: {', '.join(names) or 'none'})"


class Kind(ABC):
    """What a beat does: a frozen dataclass below this class, whose fields are its keys in the show file.

    NEEDED: keys without a default. GIVES: the forms of expectation that it can meet. VALUES: the values that it emits.
    RATIOS: those that have a ratio to the twin or the baseline; SPANS: those that only a form with spans has.
    HANDS_OVER: the terminal is the speaker's while it plays; its budget does not end it, and it is not tried again.
    """

    __slots__ = ()
    NEEDED: ClassVar[tuple[str, ...]] = ()
    GIVES: ClassVar[tuple[str, ...]] = ()
    VALUES: ClassVar[tuple[str, ...]] = ()
    RATIOS: ClassVar[tuple[str, ...]] = ()
    SPANS: ClassVar[tuple[str, ...]] = ()
    HANDS_OVER: ClassVar[bool] = False

    @property
    def named_forms(self) -> tuple[str, ...]:
        """The forms that its keys name."""
        return ()

    @property
    def on_machine(self) -> bool:
        """Whether a program of it runs in the machine."""
        return False

    @property
    def script(self) -> str:
        """The program or script of its own that it runs on this host, relative to the show file; "" for none."""
        return ""

    @abstractmethod
    def play(self, scene: Scene) -> None:
        """Do it once, and emit what is seen. Raises LabError when it cannot be done, Cancelled when it is ended."""

    def faults(self, around: Around) -> Faults:
        """(key, what is wrong and what would be right) of values with which it could not be played. "" is nothing."""
        del around
        return []

    def reach(self, value: str, budget_s: float) -> tuple[float, float]:
        """The lowest and highest figure that one of its VALUES can have in a beat that passes within its budget."""
        del value, budget_s
        return 0.0, math.inf
