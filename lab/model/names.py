"""Names from the user's files that become file names, environment values or parts of a request."""

from __future__ import annotations

import re
from typing import Final

from lab.model.paths import DEVICES

LONGEST: Final = 64
FILE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9_+-])?")


def file_name_fault(name: str) -> str:
    """Why `name` cannot be part of a file name on every system; "" when it can."""
    if len(name) > LONGEST:
        return f"{name[:20]!r}… is longer than {LONGEST} characters"
    if not FILE_NAME.fullmatch(name) or ".." in name:
        return f"{name!r} is not a file name: use letters, digits, spaces and . _ + -, starting with a letter or digit"
    if name.partition(".")[0].strip().lower() in DEVICES:
        return f"{name!r} is a device name on Windows"
    return ""


def label_fault(name: str) -> str:
    """Why `name` cannot be used in tables, file names and messages; "" when it can. Any alphabet is allowed."""
    if not name.strip() or name != name.strip():
        return f"{name!r} is empty, or starts or ends with a space"
    if len(name) > LONGEST:
        return f"{name[:20]!r}… is longer than {LONGEST} characters"
    if found := re.search(r'[/\\,|"]', name) or next((c for c in name if not c.isprintable()), None):
        character = found if isinstance(found, str) else found[0]
        return f"{name!r} contains {character!r}; use for example {_without(name)!r}"
    return f"{name!r} is not a name" if set(name) == {"."} else ""


def _without(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()[:LONGEST] or "first"
