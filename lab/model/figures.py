"""Number formats, the same on the screen, in sentences and in the report."""

from __future__ import annotations

from typing import Final

from lab.guest.wire import COUNTED

MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def effect(pct: float | None) -> str:
    """+38 %, -2.1 % (with a real minus sign): one decimal below ten, none above."""
    if pct is None:
        return NONE
    return ("0.0" if abs(pct) < 0.05 else signed(pct, _digits(pct))) + " %"


def stated(pct: float | None, lost: str = "") -> str:
    """An effect; for one that is lost in noise, the noise instead of the size."""
    return f"lost in noise ({lost})" if lost else effect(pct)


def interval(low: float | None, high: float | None) -> str:
    """+30 … +42; a dash without an interval."""
    return NONE if low is None or high is None else f"{signed(low, _digits(low))} … {signed(high, _digits(high))}"


def _digits(pct: float) -> int:
    return 1 if abs(pct) < 9.95 else 0


def signed(value: float, digits: int) -> str:
    """With its sign, a real minus sign; from ten million on three digits and an exponent."""
    body = f"{value:+.{digits}f}" if abs(value) < 1e7 else f"{value:+.3g}"
    return body.replace("-", MINUS)


def share(ratio: float | None) -> str:
    """A ratio as per cent that never rounds to a false 100 or 0."""
    if ratio is None:
        return NONE
    if 0 < ratio < 1:
        return f"{min(max(ratio * 100, 0.1), 99.9):.1f} %"
    return f"{ratio * 100:.0f} %"


def amount(value: float | None) -> str:
    """Three significant digits, thousands grouped."""
    if value is None:
        return NONE
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    body = f"{value:,.{digits}f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
    return body.replace("-", MINUS)


def seconds(value: float | None) -> str:
    """4.6 s, 22 s, 3 min 05 s, 4 min."""
    if value is None:
        return NONE
    if value < 90:
        return f"{value:.1f} s" if value < 20 else f"{value:.0f} s"
    rest = int(value % 60)
    return f"{int(value // 60)} min" + (f" {rest:02d} s" if rest else "")


def simulated(clock: str) -> str:
    """Beside a time of the machine: a counted clock only simulates it."""
    return "simulated " if clock == COUNTED else ""


def size(value: float | None) -> str:
    """Bytes: 3.1 MiB, 25 MiB, 512 B."""
    if value is None:
        return NONE
    unit, one = next(((unit, one) for unit, one in UNITS if value >= one), ("B", 1))
    return f"{value / one:.{int(one > 1 and value < 10 * one)}f} {unit}"


def count(value: int | None) -> str:
    """Grouped by thousands; a dash for None, which is not zero."""
    return NONE if value is None else f"{value:,}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
