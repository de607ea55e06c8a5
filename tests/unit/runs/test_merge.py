"""events.jsonl is one order of both halves, whatever order and how often they were read."""

from __future__ import annotations

import random

from lab.runs import merge, zipapp


def host(seq: int, at: float, event: str = "Notice") -> dict[str, object]:
    return {"source": "host", "boot": "", "seq": seq, "at": at, "event": event, "data": {}}


def guest(seq: int, at_ns: int, boot: str = "b1") -> dict[str, object]:
    return {"seq": seq, "at_ns": at_ns, "boot_id": boot, "kind": "cell", "data": {"id": "x"}}


def test_order_and_identity() -> None:
    hosts = [host(1, 1.0), host(2, 3.0), host(3, 3.5, "GuestEvent")]
    guests = [guest(1, 2_000_000_000), guest(2, 4_000_000_000), guest(1, 5_000_000_000, "b2")]
    expected = merge.merged(hosts, guests)
    assert [(d["source"], d["seq"]) for d in expected] == [
        ("host", 1),
        ("guest", 1),
        ("host", 2),
        ("guest", 2),
        ("guest", 1),
    ]
    twice = [*guests, *guests]
    random.Random(3).shuffle(twice)
    assert merge.merged(hosts, twice) == expected


def test_a_machine_whose_clock_is_behind_is_put_where_it_belongs_on_the_hosts_clock() -> None:
    hosts = [host(1, 100.0), host(2, 102.0)]
    found = merge.merged(hosts, [guest(1, 61_000_000_000)], behind_s=40.0)
    assert [(d["source"], d["at"]) for d in found] == [("host", 100.0), ("guest", 101.0), ("host", 102.0)]
    assert found[1]["data"]["at_ns"] == 61_000_000_000, "what the machine stamped stays"


def test_torn_documents_are_left_out() -> None:
    assert merge.merged([{"event": "x"}], [{"seq": 1}, {"at_ns": 1}]) == []


def test_the_zipapp_is_reproducible_and_holds_only_the_guest_half() -> None:
    import io
    import zipfile

    data = zipapp.build()
    assert data == zipapp.build()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert "__main__.py" in names
    assert "lab/guest/wire/plan.py" in names
    assert all(name in ("__main__.py", "lab/__init__.py") or name.startswith("lab/guest/") for name in names)
