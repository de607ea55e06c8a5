"""events.jsonl: the records of both halves in one order. Pure; a Record's identity is (source, boot, seq)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def merged(
    host: Iterable[Mapping[str, Any]], guest: Iterable[Mapping[str, Any]], *, behind_s: float = 0.0
) -> list[dict[str, Any]]:
    """Host records (without their copies of guest events) and guest records, by time; the same ones only once.

    behind_s: how far the guest's clock was behind the host's: its records' `at` is the host's time, `at_ns` its own.
    """
    out: dict[tuple[str, str, int], dict[str, Any]] = {}
    for doc in host:
        if doc.get("event") != "GuestEvent" and isinstance(doc.get("seq"), int):
            out[("host", str(doc.get("boot", "")), doc["seq"])] = dict(doc)
    for doc in guest:
        if isinstance(doc.get("seq"), int) and isinstance(doc.get("at_ns"), int):
            boot = str(doc.get("boot_id", ""))
            out[("guest", boot, doc["seq"])] = {
                "source": "guest",
                "boot": boot,
                "seq": doc["seq"],
                "at": doc["at_ns"] / 1e9 + behind_s,
                "step": 0,
                "parent": 0,
                "event": "GuestEvent",
                "data": {"kind": doc.get("kind", ""), "at_ns": doc["at_ns"], "data": doc.get("data", {})},
            }
    return sorted(out.values(), key=lambda d: (float(d.get("at", 0.0)), str(d["source"]), int(d["seq"])))


def line(doc: Mapping[str, Any]) -> str:
    return json.dumps(doc, ensure_ascii=False, sort_keys=True) + "\n"
