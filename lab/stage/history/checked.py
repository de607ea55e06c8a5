"""The last check of a show, remembered: a laptop that slept between GO and the show is another one than was checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from lab.guest.wire import encode
from lab.model.errors import Unreadable
from lab.system import asleep, documents, store
from lab.system.documents import Source

FILE: Final = "checked.json"
SLEPT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`slept_s`: how long this laptop had slept by then."""

    word: str
    slept_s: float
    boot_s: float


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
    if abs(now.boot_s - before.boot_s) > SLEPT_S:
        return "this laptop was started again since the last check: run lab show --check"
    slept_s = now.slept_s - before.slept_s
    return f"this laptop slept for {slept_s:.0f} s since the last check" if slept_s > SLEPT_S else ""


def _now(word: str) -> Checked:
    return Checked(word=word, slept_s=asleep.slept_s(), boot_s=psutil.boot_time())
