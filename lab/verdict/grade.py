"""The quality grade of a machine's figures, by facts: emulated, noisy, limited or ready."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from lab.guest.wire import COUNTED, Cell
from lab.model.facts import MachineFacts
from lab.model.metrics import REAL
from lab.model.run import RunManifest
from lab.model.summary import Grade

STEAL_NOISY: Final = 0.02  # share of the window's CPU time taken by the hypervisor
SENTINEL_NOISY: Final = 0.15  # spread of the fixed CPU loop, largest against median
EMULATOR: Final = "tcg"
# Accelerations of providers that add no hypervisor.
NOT_OURS: Final = frozenset({"", "none", "native", "unknown"})


def grade(manifest: RunManifest, facts: MachineFacts, cells: Sequence[Cell], clock: str = REAL) -> Grade:
    """The first match of: counted, emulated, noisy, limited, ready; with its reasons."""
    if clock == COUNTED:
        reason = "the machine's clock counts instructions: the figures are work, not time"
        return Grade(word="counted", reasons=(reason,))
    noise = _noise(cells)
    if manifest.acceleration == EMULATOR or facts.emulated:
        reason = "the machine's CPU is emulated in software: times and CPU are those of the emulator, not of a CPU"
        return Grade(word="emulated", reasons=(reason, *noise))
    if noise:
        return Grade(word="noisy", reasons=noise)
    limits = _limits(manifest, facts)
    if not any(cell.window_s > 0 for cell in cells):
        limits = (*limits, "no cell was measured, so the stability of the machine is unknown")
    if limits:
        return Grade(word="limited", reasons=limits)
    return Grade(word="ready", reasons=("bare metal, no steal, a steady CPU",))


def _noise(cells: Sequence[Cell]) -> tuple[str, ...]:
    reasons = []
    steal = max((cell.steal_s / cell.window_s for cell in cells if cell.window_s > 0), default=0.0)
    if steal > STEAL_NOISY:
        reasons.append(f"steal time of {steal:.1%} of a CPU in a cell")
    loops = [cell.sentinel_s for cell in cells if cell.sentinel_s > 0]
    if len(loops) >= 2 and (spread := max(loops) / median(loops) - 1) > SENTINEL_NOISY:
        reasons.append(f"a fixed CPU loop took up to {spread:.0%} longer than its median between cells")
    return tuple(reasons)


def _limits(manifest: RunManifest, facts: MachineFacts) -> tuple[str, ...]:
    reasons = []
    virtual = facts.virtualisation or ""
    if manifest.acceleration not in NOT_OURS or manifest.provider not in {"local", "ssh"}:
        reasons.append("a virtual machine: it shares its CPU with a host that is not observed")
    elif virtual and not virtual.startswith("none"):
        reasons.append(f"this host is itself a virtual machine or container ({virtual})")
    elif not virtual:
        reasons.append("it is unknown whether this is bare metal")
    if facts.battery:
        reasons.append("runs on battery")
    return tuple(reasons)
