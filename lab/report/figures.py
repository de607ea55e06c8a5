"""How figures are written, the same everywhere in the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
NAMES: Final = {
    "cpu_s_per_1k_requests": "CPU per request",
    "latency_p50_ms": "Median latency",
    "latency_p90_ms": "p90 latency",
    "latency_p99_ms": "p99 latency",
    "rss_mib": "Memory",
}
FAMILIES: Final = {"spans": "spans", "cpu": "CPU", "memory": "memory", "latency": "latency"}
NOTES: Final = {
    "cpu_s_per_1k_requests": "service + agent, user + system",
    "latency_p50_ms": "from the intended send time",
    "latency_p90_ms": "from the intended send time",
    "latency_p99_ms": "from the intended send time",
    "rss_mib": "resident, service + agent",
}


def effect(pct: float | None) -> str:
    """+38 %, -2.1 % (with a real minus sign): one decimal below ten, none above."""
    if pct is None:
        return NONE
    return ("0.0" if abs(pct) < 0.05 else signed(pct, 1 if abs(pct) < 9.95 else 0)) + " %"


def signed(value: float, digits: int) -> str:
    """With its sign, a real minus; from ten million on three digits and an exponent."""
    body = f"{value:+.{digits}f}" if abs(value) < 1e7 else f"{value:+.3g}"
    return body.replace("-", MINUS)


def share(ratio: float | None) -> str:
    """A ratio as per cent that never rounds to a false 100 or 0."""
    if ratio is None:
        return NONE
    if 0 < ratio < 1:
        return f"{min(max(ratio * 100, 0.1), 99.9):.1f} %"
    return f"{ratio * 100:.0f} %"


def amount(value: float | None, unit: str = "") -> str:
    """Three significant digits, thousands grouped."""
    if value is None:
        return NONE
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    body = f"{value:,.{digits}f}" if size >= 0.001 or value == 0 else f"{value:.1e}"
    return f"{body.replace('-', MINUS)} {unit}".strip()


def seconds(value: float | None) -> str:
    """4.6 s, 2 min 11 s."""
    if value is None:
        return NONE
    if value < 90:
        return f"{value:.1f} s" if value < 20 else f"{value:.0f} s"
    rest = int(value % 60)
    return f"{int(value // 60)} min" + (f" {rest} s" if rest else "")


def size(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value / (1 << 20):,.0f} MiB" if value >= 1 << 20 else f"{value / 1024:,.0f} KiB"


def count(value: int | None) -> str:
    """Grouped by thousands; a dash where nothing was counted, which is not zero."""
    return NONE if value is None else f"{value:,}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def verdict(summary: Mapping[str, Any], form: str, against: str, metric: str) -> dict[str, Any] | None:
    """The row of `verdicts[]`, if there is one."""
    rows: list[dict[str, Any]] = summary["verdicts"]
    return next((row for row in rows if (row["form"], row["against"], row["metric"]) == (form, against, metric)), None)


def usable(cells: Mapping[str, Any]) -> str:
    """6 of 6 cells valid; or, where some are so in part: 3 of 6 cells valid (spans 6, CPU 6, memory 6, latency 3)."""
    said = f"{cells['valid']} of {plural(cells['planned'], 'cell')} valid"
    parts = {FAMILIES[family]: number for family, number in cells["usable"].items()}
    if set(parts.values()) == {cells["valid"]}:
        return said
    return f"{said} in everything ({', '.join(f'{name} {number}' for name, number in parts.items())})"


def void(cell: Mapping[str, Any]) -> str:
    """What an attempt is worth: valid, INVALID, or what its figures are not valid for."""
    if not cell["void"]:
        return "saturated" if cell["saturated"] else "valid"
    if set(cell["void"]) >= set(FAMILIES):
        return "INVALID"
    return "not valid for " + ", ".join(FAMILIES[family] for family in cell["void"])


def unproven(summary: Mapping[str, Any]) -> list[str]:
    """Each failed proof with its reason, as a sentence."""
    return [f"{name}: proof FAILED: {why}" for name, why in summary["unproven"].items()]
