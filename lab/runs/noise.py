"""The noise ledger: the twin's readings of every session, one small file each, by profile hash.

F, the noise floor, is the 95th percentile of those readings. It is fixed when a run is sealed and stored in its
manifest, so that a report is the same wherever and whenever it is written again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.guest.scoring.gates import percentile
from lab.guest.wire import Plan, canonical
from lab.model.errors import Unreadable
from lab.model.facts import MachineFacts
from lab.model.paths import Paths
from lab.system import documents, store
from lab.system.documents import Source

SESSIONS_MIN: Final = 20
SESSIONS_MAX: Final = 500  # the newest; a floor describes the current machine
QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The twin against the baseline in one run, in per cent by metric."""

    run_id: str
    twin_pct: dict[str, float] = field(default_factory=dict)


def profile_hash(plan: Plan, provider: str, acceleration: str, facts: MachineFacts, go: str) -> str:
    """Sessions with one hash are comparable: the same load and number of blocks, on a machine of the same kind."""
    cells = [(life.block, cell.level, cell.rate_rps, cell.requests) for life in plan.lives for cell in life.cells]
    of = {
        "scenario": plan.scenario,
        "topology": plan.service.topology,
        "service": plan.service.name,
        "requests": plan.requests,
        "arrivals": plan.arrivals,
        "cells": sorted(set(cells)),
        "layout": plan.layout,
        "machine": [provider, acceleration, *facts.hardware.values()],
        "clock": plan.clock,
        "go": go,
    }
    return hashlib.sha256(canonical(of)).hexdigest()[:16]


def floors(paths: Paths, profile: str) -> dict[str, float]:
    """F by metric from the sessions so far; a metric with fewer than SESSIONS_MIN has none."""
    readings: dict[str, list[float]] = {}
    for session in sessions(paths, profile):
        for metric, pct in session.twin_pct.items():
            readings.setdefault(metric, []).append(abs(pct))
    return {m: percentile(sorted(v), QUANTILE) for m, v in sorted(readings.items()) if len(v) >= SESSIONS_MIN}


def sessions(paths: Paths, profile: str) -> list[Session]:
    """The newest sessions, oldest first; skips unreadable files."""
    folder = paths.noise / profile
    found = []
    for path in sorted(folder.glob("*.json"))[-SESSIONS_MAX:]:
        try:
            found.append(documents.read(Source(path=path, name=path.name, fix=f"remove {path}"), Session))
        except Unreadable:
            continue
    return found


def add(paths: Paths, profile: str, session: Session) -> Path:
    """Store a session; replaces an existing one atomically."""
    path = paths.noise / profile / f"{session.run_id}.json"
    store.write_json(path, {"run_id": session.run_id, "twin_pct": session.twin_pct})
    return path
