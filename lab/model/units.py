"""The unit of a number is in the name of its key; a hint where the value has a unit too."""

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
    "_min": ("minutes", 60),
}


def of(key: str) -> tuple[str, str]:
    """The suffix of a key's name and its unit: ("_mib", "MiB"); ("", "") where it has none."""
    return next(((suffix, unit) for suffix, (unit, _) in _KEY_UNITS.items() if key.endswith(suffix)), ("", ""))


def hint(key: str, raw: str) -> str:
    """What to write instead of `raw` under `key`, to append to a message; "" for other values."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*", raw)
    suffix, unit = of(key)
    if not found or not suffix or found[2].lower() not in _UNITS:
        return ""
    value = float(found[1]) * _UNITS[found[2].lower()] / _KEY_UNITS[suffix][1]
    return f"; the unit is {unit}: write {value:g}"
