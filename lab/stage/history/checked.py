"""The last check of a show, remembered: a laptop that slept between GO and the show is another one than was checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.guest.wire import encode
from lab.model.errors import Unreadable
from lab.stage.history.ledger import SLEPT_S
from lab.system import asleep, boots, documents, store
from lab.system.documents import Source

FILE: Final = "checked.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`slept_s`: how long this laptop had slept by then; `boot`: which boot of it that was, "" where it does not tell;
    `passed_s`: by the clock that starts with it."""

    word: str
    slept_s: float
    boot: str
    passed_s: float

    def same_boot(self, later: Checked) -> bool:
        """Without names only a clock that went back gives another boot away."""
        if self.boot and later.boot:
            return self.boot == later.boot
        return later.passed_s >= self.passed_s


def note(place: Path, word: str) -> None:
    """Remember a check that ended with this word."""
    store.write_json(place / FILE, encode(_now(word)))


def changed(place: Path) -> str:
    """What happened to this laptop since the last check, as a sentence; "" for nothing, or without a check."""
    path = place / FILE
    if not path.exists():
        return ""
    try:
        before = documents.read(Source(path=path, name=str(path), fix="lab show --check"), Checked)
    except Unreadable:
        return ""
    now = _now("")
    if not before.same_boot(now):
        return "this laptop was started again since the last check: run lab show --check"
    slept_s = now.slept_s - before.slept_s
    return f"this laptop slept for {slept_s:.0f} s since the last check" if slept_s > SLEPT_S else ""


def _now(word: str) -> Checked:
    return Checked(word=word, slept_s=asleep.slept_s(), boot=boots.session(), passed_s=asleep.passed_s())
