"""events.jsonl: the records of host and guest in one order. Pure; a Record's identity is (source, boot, seq)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lab.guest.wire import GuestRecord
from lab.model.events import GuestEvent, Record


def merged(host: Iterable[Record], guest: Iterable[GuestRecord], *, behind_s: float = 0.0) -> list[Record]:
    """Host records (without their copies of guest events) and guest records, by time, without duplicates.

    behind_s: seconds that the guest's clock was behind the host's: `at` is in host time, `at_ns` in guest time.
    """
    out = {(record.source, record.boot, record.seq): record for record in host if not _copied(record)}
    for item in guest:
        out["guest", item.boot_id, item.seq] = Record(
            source="guest",
            boot=item.boot_id,
            seq=item.seq,
            at=item.at_ns / 1e9 + behind_s,
            step=0,
            parent=0,
            event=GuestEvent(kind=item.kind, at_ns=item.at_ns, data=item.data),
        )
    return sorted(out.values(), key=lambda record: (record.at, record.source, record.seq))


def _copied(record: Record) -> bool:
    return isinstance(record.event, GuestEvent)


def line(record: Record) -> str:
    return json.dumps(record.to_json(), ensure_ascii=False, sort_keys=True) + "\n"
