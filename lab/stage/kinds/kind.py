"""What all kinds of beats have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from lab.stage.beat.scene import Scene


class Kind(ABC):
    """What a beat does: a frozen dataclass below this class, whose fields are its keys in the show file.

    NEEDED: keys without a default. GIVES: the forms of expectation that it can meet. VALUES: the values that it emits.
    HANDS_OVER: the terminal is the speaker's while it plays; its budget does not end it, and it is not tried again.
    """

    __slots__ = ()
    NEEDED: ClassVar[tuple[str, ...]] = ()
    GIVES: ClassVar[tuple[str, ...]] = ()
    VALUES: ClassVar[tuple[str, ...]] = ()
    HANDS_OVER: ClassVar[bool] = False

    @property
    def named_forms(self) -> tuple[str, ...]:
        """The forms that its keys name."""
        return ()

    @property
    def on_machine(self) -> bool:
        """Whether a program of it runs in the machine."""
        return False

    @abstractmethod
    def play(self, scene: Scene) -> None:
        """Do it once, and emit what is seen. Raises LabError when it cannot be done, Cancelled when it is ended."""

    def faults(self) -> list[tuple[str, str]]:
        """(key, what is wrong) of values that do not go together."""
        return []
