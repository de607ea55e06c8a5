"""Orders over real SSH: a cut connection is made again and nothing is lost, repeated or left behind."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from lab.guest.wire.live import Accepted, Order, OrderEnded, Proof
from lab.remote import connect
from lab.remote.base import Transport
from lab.runs import orders
from lab.runs.drive import Site
from lab.system.wait import Deadline
from tests.contract.sshd import running_sshd
from tests.fakes.standby import standby_process
from tests.support import lab_at

pytestmark = pytest.mark.contract


def test_a_connection_that_is_cut_in_an_order(tmp_path: Path) -> None:
    lab, site = lab_at(tmp_path / "home"), Site(root=str(tmp_path), run_id="standby")
    opened: list[float] = []
    with running_sshd(tmp_path / "sshd") as server, standby_process(site.out) as process:

        def link() -> AbstractContextManager[Transport]:
            opened.append(time.monotonic())
            return connect(lab, server.endpoint, Deadline.after(30))

        with orders.OrderSession(lab, link, site, process.pid) as session:
            given = session.give(Order(id="cut", kind="load"))
            assert isinstance(next(given), Accepted)
            server.kill_sessions()
            later = threading.Timer(2.0, session.stop)
            later.start()
            events = list(given)
            later.join()
            assert [one.round for one in events if isinstance(one, Proof)] == list(range(1, 9))
            assert isinstance(events[-1], OrderEnded)
            assert len(opened) == 2
            again = list(session.give(Order(id="after", kind="reprove")))
            assert len(again) == 10
        ends = time.monotonic() + 5
        argv = ["pgrep", "-f", f"{site.out}/events.jsonl"]
        while (left := subprocess.run(argv, capture_output=True, text=True, check=False).stdout) and (
            time.monotonic() < ends
        ):
            time.sleep(0.1)
        assert left == ""
