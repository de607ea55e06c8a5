"""events.jsonl is one order of both halves, whatever order and how often they were read."""

from __future__ import annotations

import json
import random

from lab.guest.wire import GuestRecord
from lab.model.events import Event, GuestEvent, Notice, Record
from lab.runs import merge, zipapp

NOTICE = Notice(level="info", text="x")


def host(seq: int, at: float, event: Event = NOTICE) -> Record:
    return Record(seq=seq, at=at, step=0, parent=0, event=event)


def guest(seq: int, at_ns: int, boot: str = "b1") -> GuestRecord:
    return GuestRecord(seq=seq, at_ns=at_ns, boot_id=boot, kind="cell", data={"id": "x"})


def test_order_and_identity() -> None:
    hosts = [host(1, 1.0), host(2, 3.0), host(3, 3.5, GuestEvent(kind="cell", at_ns=1, data={}))]
    guests = [guest(1, 2_000_000_000), guest(2, 4_000_000_000), guest(1, 5_000_000_000, "b2")]
    expected = merge.merged(hosts, guests)
    order = [("host", 1), ("guest", 1), ("host", 2), ("guest", 2), ("guest", 1)]
    assert [(record.source, record.seq) for record in expected] == order
    twice = [*guests, *guests]
    random.Random(3).shuffle(twice)
    assert merge.merged(hosts, twice) == expected
    assert [Record.from_json(json.loads(merge.line(record))) for record in expected] == expected


def test_a_machine_whose_clock_is_behind_is_put_where_it_belongs_on_the_hosts_clock() -> None:
    hosts = [host(1, 100.0), host(2, 102.0)]
    found = merge.merged(hosts, [guest(1, 61_000_000_000)], behind_s=40.0)
    assert [(record.source, record.at) for record in found] == [("host", 100.0), ("guest", 101.0), ("host", 102.0)]
    assert isinstance(found[1].event, GuestEvent)
    assert found[1].event.at_ns == 61_000_000_000, "what the machine stamped stays"


def test_the_zipapp_is_reproducible_and_holds_only_the_guest_half() -> None:
    import io
    import zipfile

    data = zipapp.build()
    assert data == zipapp.build()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert "__main__.py" in names
    assert "lab/guest/wire/plan.py" in names
    assert all(name in ("__main__.py", "lab/__init__.py") or name.startswith("lab/guest/") for name in names)
