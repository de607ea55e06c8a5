"""A full disk ends the order that meets it, and no form."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.linux.waiting import Cancel
from lab.guest.live import standby
from lab.guest.live.orders import Orders
from lab.guest.run import journal
from lab.guest.run.journal import Journal
from lab.guest.wire import GuestRecord, dump, load
from lab.guest.wire.live import Order
from tests.unit.report import synthetic


class Disk:
    """Takes what is written while it is not full; a full one has the room of the reserve, once that is removed."""

    def __init__(self, out: Path) -> None:
        self.reserve, self.full, self.takes = out / journal.RESERVE_FILE, False, 0
        self.write_bytes = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if self.full and (self.reserve.exists() or not self.takes):
            raise OSError(28, "No space left on device")
        self.takes -= self.full
        return self.write_bytes(descriptor, data)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(tmp_path)
    monkeypatch.setattr(os, "write", made.write)
    return made


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Any]:
    """Standby with one form, for which every request fails to be told."""
    before = signal.getsignal(signal.SIGUSR1)
    book = Journal(tmp_path)
    orders = Orders(tmp_path, book, Cancel())
    context: Any = SimpleNamespace(plan=synthetic.plan(), journal=book)
    one = standby._Standby(context, orders)
    one.up = [SimpleNamespace(id="baseline")]  # type: ignore[list-item]  # its name is all that is asked for
    one._request = lambda *_: True  # type: ignore[method-assign]  # not sent
    yield one
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, before)
    book.close()


def order(up: Any, name: str) -> None:
    (up.orders.folder / f"{name}.json").write_text(dump(Order(id=name, kind="request")))
    up._carry_out(up.orders.next())
    up.orders.done()


def told(tmp_path: Path) -> list[tuple[str, str, str]]:
    records = [load(GuestRecord, line) for line in (tmp_path / "events.jsonl").read_text().splitlines() if line]
    return [(one.kind, one.data["order"], one.data.get("reason", "")) for one in records]


NO_SPACE = "OSError: [Errno 28] No space left on device"


def test_the_order_ends_with_the_reason_by_the_space_that_was_kept(tmp_path: Path, disk: Disk, up: Any) -> None:
    order(up, "a")
    disk.full, disk.takes = True, 1
    order(up, "b")
    assert told(tmp_path) == [("accepted", "a", ""), ("order-ended", "a", ""), ("order-ended", "b", NO_SPACE)]


def test_an_end_that_cannot_be_written_is_told_before_the_next_order(tmp_path: Path, disk: Disk, up: Any) -> None:
    order(up, "a")
    disk.full = True
    order(up, "b")
    disk.full = False
    order(up, "c")
    assert told(tmp_path)[2:] == [("order-ended", "b", NO_SPACE), ("accepted", "c", ""), ("order-ended", "c", "")]
    assert disk.reserve.stat().st_size == journal.RESERVE


def test_a_line_that_was_written_in_part_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, write = Journal(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with pytest.raises(OSError, match="No space left"):
        book.emit("notice", text="one")
    monkeypatch.setattr(os, "write", write)
    book.emit("notice", text="two")
    book.close()
    torn, whole = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(torn) == 20
    assert load(GuestRecord, whole).data == {"text": "two"}
