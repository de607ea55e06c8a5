"""The line to a standby process: each event once and in order, whatever happens to the connection."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire.live import Accepted, Order, OrderEnded, Proof
from lab.model.errors import DemoError, Locked, TransientError, UsageError
from lab.remote.base import Transport
from lab.remote.localhost import LocalTransport
from lab.runs import orders
from lab.runs.drive import Site
from lab.system.wait import Deadline
from tests.fakes.standby import standby_process
from tests.support import lab_at


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(root=str(tmp_path), run_id="standby")


@pytest.fixture
def process(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    with standby_process(site.out) as child:
        yield child


@pytest.fixture
def transport(tmp_path: Path) -> Transport:
    return LocalTransport(lab_at(tmp_path / "home"))


def session(tmp_path: Path, site: Site, pid: int, connect: Any) -> orders.OrderSession:
    return orders.OrderSession(lab_at(tmp_path / "home"), connect, site, pid)


def order(kind: Any, **more: Any) -> Order:
    return Order(id=orders.new_id(), kind=kind, **more)


def assert_whole(events: list[Any]) -> None:
    assert isinstance(events[0], Accepted)
    assert [one.round for one in events if isinstance(one, Proof)] == list(range(1, 9))
    assert isinstance(events[-1], OrderEnded)
    assert len(events) == 10


def test_events_come_as_they_are_told_and_nothing_stays(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], transport: Transport
) -> None:
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(transport)) as line:
        given = line.give(order("reprove"))
        began = time.monotonic()
        assert isinstance(next(given), Accepted)
        assert isinstance(next(given), Proof)
        assert time.monotonic() - began < 0.3, "the order lasts 0.4 s"
        assert_whole([Accepted("", 0, "load", (), "", 0.0), Proof("", 0, "a", ok=True, reason="", round=1), *given])
        assert_whole(list(line.give(order("request"))))
    own = subprocess.run(["pgrep", "-f", f"{site.out}/events.jsonl"], capture_output=True, text=True, check=False)
    assert own.stdout == "", "the shell and its tail end with the session"
    assert process.poll() is None


def test_an_order_that_was_left_goes_on_and_stop_ends_it(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], transport: Transport
) -> None:
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(transport)) as line:
        load = line.give(order("load"))
        next(load)
        later = threading.Timer(0.5, line.stop)
        later.start()
        assert isinstance(list(load)[-1], OrderEnded)
        later.join()


def test_a_stop_follows_its_order_also_before_that_is_taken_and_over_a_new_connection(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes]
) -> None:
    cutting = Breaking(lab_at(tmp_path / "home"))
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(cutting)) as line:
        load = line.give(order("load"))
        line.stop()
        assert isinstance(list(load)[-1], OrderEnded)
        cutting.at = b'"accepted"'
        load = line.give(order("load"))
        line.stop()
        assert isinstance(list(load)[-1], OrderEnded)


def test_a_refusal_is_an_error_of_its_own(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], transport: Transport
) -> None:
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(transport)) as line:
        with pytest.raises(Locked, match="another runs"):
            list(line.give(order("attach", at_once=True)))
        with pytest.raises(UsageError, match="another runs"):
            list(line.give(order("attach")))
        assert_whole(list(line.give(order("reprove"))))


class Breaking(LocalTransport):
    """Loses its connection when the wanted text has come."""

    at = b""

    def pipe(self, argv: Any, deadline: Any, *, stdin: Any, out: Any, err: Any, max_output: Any) -> int:
        def cut(chunk: bytes) -> None:
            if self.at and self.at in chunk:
                half = chunk.index(self.at) + len(self.at)
                self.at = b""
                out(chunk[:half])
                raise TransientError("the connection was lost", fix="")
            out(chunk)

        return super().pipe(argv, deadline, stdin=stdin, out=cut, err=err, max_output=max_output)


@pytest.mark.parametrize("at", ['"accepted"', '"round": 4', '"order-ended"', '"seconds"'])
def test_a_lost_connection_loses_and_repeats_nothing(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], at: str
) -> None:
    breaking = Breaking(lab_at(tmp_path / "home"))
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(breaking)) as line:
        breaking.at = at.encode()
        assert_whole(list(line.give(order("reprove"))))
        assert breaking.at == b""
        assert_whole(list(line.give(order("reprove"))))


def test_an_order_whose_arrival_is_not_known_is_given_once(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes]
) -> None:
    class Deaf(LocalTransport):
        lost = False

        def pipe(self, argv: Any, deadline: Any, *, stdin: Any, out: Any, err: Any, max_output: Any) -> int:
            def tell(chunk: bytes) -> None:
                if not self.lost and b"accepted" in chunk:
                    self.lost = True
                    raise TransientError("the connection was lost", fix="")
                out(chunk)

            return super().pipe(argv, deadline, stdin=stdin, out=tell, err=err, max_output=max_output)

    deaf = Deaf(lab_at(tmp_path / "home"))
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(deaf)) as line:
        assert_whole(list(line.give(order("reprove"))))
    assert deaf.lost


def test_a_process_that_ends_in_an_order_is_an_error(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], transport: Transport
) -> None:
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays as a zombie
    with (
        session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(transport)) as line,
        pytest.raises(DemoError, match="the standby process exited"),
    ):
        list(line.give(order("detach")))


def test_a_number_that_is_anothers_by_now_is_left_alone(tmp_path: Path, site: Site, transport: Transport) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            line = session(tmp_path, site, stranger.pid, lambda: contextlib.nullcontext(transport))
            with pytest.raises(DemoError, match="the standby process exited"), line:
                pass
            time.sleep(0.2)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_process_that_has_written_nothing_yet_is_waited_for(tmp_path: Path, site: Site, transport: Transport) -> None:
    Path(site.out).mkdir(parents=True)
    late = (
        'import sys, time; time.sleep(1); open(sys.argv[2] + "/events.jsonl", "w").write(sys.argv[3]); time.sleep(60)'
    )
    line = '{"seq": 1, "at_ns": 1, "boot_id": "b", "kind": "state", "data": {}}\n'
    with subprocess.Popen([sys.executable, "-c", late, "standby", site.out, line]) as child:
        try:
            lab = lab_at(tmp_path / "home")
            with orders.OrderSession(lab, lambda: contextlib.nullcontext(transport), site, child.pid, at=0) as session:
                assert next(session.records(Deadline.after(20))).kind == "state"
        finally:
            child.kill()


def test_an_order_that_cannot_be_written_says_why(
    tmp_path: Path, site: Site, process: subprocess.Popen[bytes], transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(tmp_path, site, process.pid, lambda: contextlib.nullcontext(transport)) as line:
        monkeypatch.setattr(orders, "ANSWER_S", 2.0)
        given = order("request")
        (Path(site.out) / "orders" / f".{given.id}").mkdir()
        with pytest.raises(DemoError, match=f"the standby process does not answer: .*{given.id}"):
            list(line.give(given))
