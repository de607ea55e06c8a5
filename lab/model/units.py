"""Numbers with a unit where the key already names one: what to write instead."""

from __future__ import annotations

import re
from typing import Final

_BYTES: Final = {"b": 1, "k": 1e3, "kb": 1e3, "kib": 1024, "mb": 1e6, "m": 1024**2, "mib": 1024**2}
_MORE_BYTES: Final = {"gb": 1e9, "g": 1024**3, "gib": 1024**3, "tb": 1e12, "t": 1024**4, "tib": 1024**4}
_TIMES: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}
_UNITS: Final[dict[str, float]] = {**_BYTES, **_MORE_BYTES, **_TIMES}
_KEY_UNITS: Final[dict[str, tuple[str, float]]] = {
    "_mib": ("MiB", 1024**2),
    "_gib": ("GiB", 1024**3),
    "_s": ("seconds", 1),
    "_ms": ("milliseconds", 1e-3),
}


def hint(key: str, raw: str) -> str:
    """What to write for `raw` under `key`, to be put behind a complaint; "" where it is no number with a unit."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*", raw)
    if not found or found[2].lower() not in _UNITS:
        return ""
    for suffix, (unit, size) in _KEY_UNITS.items():
        if key.endswith(suffix):
            value = float(found[1]) * _UNITS[found[2].lower()] / size
            return f"; the key counts {unit}: write {value:g}"
    return ""
