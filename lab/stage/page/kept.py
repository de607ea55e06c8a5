"""The cookie of a page whose port was chosen: the next show on that port lets its open pages go on."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from lab.system import store


def cookie(home: Path, port: int) -> str:
    """The one of this port, made and kept at first; a new one each time for port 0, which is another each time."""
    if not port:
        return ""
    place = home / f"page-{port}.key"
    made = secrets.token_urlsafe()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept = place.read_text(encoding="ascii").strip()
        if len(kept) == len(made):
            return kept
    with contextlib.suppress(OSError):  # a full disk: the next show asks its pages for the address
        store.write_text(place, made)
    return made
