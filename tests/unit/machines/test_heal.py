"""What is done about a machine that hangs: freed, started again so often and no more, told wherever somebody waits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from lab.machines import heal, state, steps, watch
from lab.machines.hang import Hung
from lab.machines.providers.qemu import pulse
from lab.machines.providers.qemu.start import QemuHandle
from lab.model.errors import ProvisioningError, TransientError
from lab.model.events import Notice, Record
from lab.model.lab import Lab
from lab.model.machine import Handle, Machine, MachineSpec, Observed
from lab.model.paths import HEARTBEAT_LOG
from tests.support import lab_at

HANDLE = QemuHandle(provider="qemu", name="m", machine_id="0" * 32, directory="", uuid="u", run_dir="")
RUNS = Observed(phase="running", alive=True, reason="up 5 s")
HANGS = Observed(phase="hung", alive=False, reason="no heartbeat for 9 s while QEMU runs")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = lab_at(tmp_path / "home")
    made.paths.machine("m").mkdir(parents=True)
    return made


@pytest.fixture
def notices(lab: Lab) -> list[str]:
    said: list[str] = []

    def keep(record: Record) -> None:
        if isinstance(record.event, Notice):
            said.append(record.event.text)

    lab.bus.add(keep)
    return said


def provider(monkeypatch: pytest.MonkeyPatch, *, free: bool = False) -> list[str]:
    did: list[str] = []

    def freed(_: Handle) -> bool:
        did.append("free")
        return free

    def stop(*_: object) -> None:
        did.append("stop")

    fake = SimpleNamespace(free=freed, stop=stop, inspect=lambda *_: HANGS)
    monkeypatch.setattr(steps, "provider_of", lambda _: fake)
    return did


def acting(*ends: str) -> Callable[[Machine], Machine]:
    left = list(ends)

    def act(machine: Machine) -> Machine:
        if left and left.pop(0) == "hung":
            raise Hung("m", "no heartbeat for 9 s")
        return machine

    return act


def machine(lab: Lab, ready: str = "") -> Machine:
    return state.save(lab, Machine(spec=MachineSpec(name="m"), handle=HANDLE, ready_boot_id=ready))


def test_one_that_can_be_freed_is_not_restarted(lab: Lab, notices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    did = provider(monkeypatch, free=True)
    heal.healed(lab, machine(lab, "boot"), HANGS, acting(), keep=True)
    assert did == ["free"]
    assert "nothing in it is lost" in notices[0]


def test_one_that_hangs_in_a_step_is_started_again_and_the_steps_go_on(
    lab: Lab, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    did = provider(monkeypatch)
    heal.healed(lab, machine(lab), RUNS, acting("hung", "hung", "done"))
    assert did == ["free", "stop"] * 2
    assert "no heartbeat for 9 s" in notices[0]
    assert "restarting it (1 of at most 3)" in notices[0]


def test_restarts_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    did = provider(monkeypatch)
    with pytest.raises(ProvisioningError, match="hung again after each of 3 restarts"):
        heal.healed(lab, machine(lab), HANGS, acting(*["hung"] * 9))
    assert did.count("stop") == heal.RESTARTS


def test_freeing_ends_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    did = provider(monkeypatch, free=True)
    with pytest.raises(ProvisioningError):
        heal.healed(lab, machine(lab), HANGS, acting(*["hung"] * 20))
    assert did.count("free") == heal.FREED


def test_demo_never_restarts_a_machine_that_was_ready(
    lab: Lab, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    did = provider(monkeypatch)
    with pytest.raises(Hung) as caught:
        heal.healed(lab, machine(lab, "boot"), HANGS, acting(), keep=True)
    assert (did, notices) == (["free"], [])
    assert caught.value.fix == "lab up m"
    heal.healed(lab, machine(lab, "boot"), HANGS, acting())
    assert "run lab demo again to continue" in notices[0]


class Link:
    """A connection whose reads block until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed.set()

    def read(self) -> None:
        assert self.closed.wait(10)
        raise TransientError("the connection was lost", fix="again")


@contextmanager
def silent(lab: Lab) -> Iterator[None]:
    log = lab.paths.machine("m") / HEARTBEAT_LOG
    log.write_text('\n{"boot_id": "b", "image_id": "i", "uptime_s": 1.0}\n')
    os.utime(log, (time.time() - 9,) * 2)
    yield


def hanging(*, free: bool) -> Any:
    return SimpleNamespace(inspect=lambda *_: HANGS, free=lambda _: free)


def test_a_connection_to_a_machine_that_hangs_ends_at_once_with_the_reason(lab: Lab) -> None:
    began = time.monotonic()
    with silent(lab), pytest.raises(Hung, match="machine m is hung: no heartbeat for 9 s"):  # noqa: SIM117
        with watch.session(lab, hanging(free=False), HANDLE, Link) as link:  # type: ignore[arg-type]
            link.read()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5


def test_so_does_a_login_that_blocks(lab: Lab) -> None:
    link = Link()

    def dial() -> Link:
        link.closed.wait(30)
        return link

    with silent(lab), pytest.raises(Hung), watch.session(lab, hanging(free=False), HANDLE, dial):  # type: ignore[arg-type]
        pytest.fail("never opened")
    link.close()


def test_a_connection_to_a_machine_that_was_freed_goes_on(lab: Lab, notices: list[str]) -> None:
    with silent(lab), watch.session(lab, hanging(free=True), HANDLE, Link) as link:  # type: ignore[arg-type]
        end = time.monotonic() + 10
        while not notices and time.monotonic() < end:
            time.sleep(0.05)
        assert not link.closed.is_set()  # type: ignore[attr-defined]
    assert "nothing in it is lost" in notices[0]


def test_a_connection_to_a_machine_that_stands_still_ends_with_the_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused by QMP, by a full disk, or its process stopped: nothing of it answers, and it does not hang."""
    monkeypatch.setattr(watch, "BROKEN_S", 1.0)
    monkeypatch.setattr("psutil.getloadavg", lambda: (0.0, 0.0, 0.0))
    paused = SimpleNamespace(inspect=lambda *_: Observed(phase="broken", alive=False, reason="paused: io-error"))
    with silent(lab), pytest.raises(ProvisioningError, match="m is suspended: paused: io-error") as caught:  # noqa: SIM117
        with watch.session(lab, paused, HANDLE, Link) as link:  # type: ignore[arg-type]
            link.read()  # type: ignore[attr-defined]
    assert caught.value.fix == "lab up m"


def test_a_short_pause_ends_no_connection(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that is taken by another command."""
    looks: list[Observed] = []

    def inspect(*_: object) -> Observed:
        looks.append(RUNS if len(looks) % 2 else Observed(phase="broken", alive=False, reason="paused"))
        return looks[-1]

    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(watch, "BROKEN_S", 0.3)
    with silent(lab), watch.session(lab, SimpleNamespace(inspect=inspect), HANDLE, Link) as link:  # type: ignore[arg-type]
        while len(looks) < 12:
            time.sleep(0.05)
        assert not link.closed.is_set()  # type: ignore[attr-defined]


def test_a_machine_that_waits_for_a_crowded_host_is_not_suspended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at a load of 38 on two processors: QEMU did not answer for some seconds, and a run of an hour was lost."""
    looks: list[int] = []

    def inspect(*_: object) -> Observed:
        looks.append(1)
        return Observed(phase="broken", alive=False, reason="QEMU (pid 1) does not answer")

    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(watch, "BROKEN_S", 0.1)
    monkeypatch.setattr("psutil.getloadavg", lambda: (1e6, 0.0, 0.0))
    with silent(lab), watch.session(lab, SimpleNamespace(inspect=inspect), HANDLE, Link) as link:  # type: ignore[arg-type]
        while len(looks) < 8:
            time.sleep(0.05)
        assert not link.closed.is_set()  # type: ignore[attr-defined]


def test_what_else_fails_is_told_as_it_is(lab: Lab) -> None:
    healthy = SimpleNamespace(inspect=lambda *_: RUNS)
    with silent(lab), pytest.raises(TransientError), watch.session(lab, healthy, HANDLE, Link):  # type: ignore[arg-type]
        raise TransientError("lost", fix="again")


class DebugServer:
    """QEMU's, as it was seen: it tells of the stop when it likes, and answers one command after the other."""

    def __init__(self, memory: dict[str, str], odd: bytes = b"") -> None:
        self.memory, self.wrote = memory, dict[str, str]()
        self._out, self._odd = b"+$T02thread:01;#04", odd

    def sendall(self, data: bytes) -> None:
        if data == b"+":
            return
        command = data[1:-3].decode()
        place, _, code = command[1:].partition(",5")
        if command[0] == "m":
            said = self.memory.get(place, "E14")
        else:
            said = "OK"
            self.wrote |= {place: code.removeprefix(":")} if command[0] == "M" else {}
        self._out += self._odd or f"+$T05thread:01;#07+${said}#00".encode()

    def recv(self, _: int) -> bytes:
        first, self._out = self._out[:7], self._out[7:]  # in pieces, as a socket gives them
        return first


def test_each_place_is_replaced_by_itself_whatever_is_told_between() -> None:
    memory = {"a0": "6690488b45", "b0": "0f1f440000"}
    server = DebugServer(memory)
    pulse.rewrite(server, ["a0", "gone", "b0"])
    assert server.wrote == memory


def test_an_answer_of_another_form_ends_it_before_anything_is_written() -> None:
    server = DebugServer({"a0": "6690488b45"}, odd=b"+$6690#00")
    with pytest.raises(ValueError, match="6690"):
        pulse.rewrite(server, ["a0"])
    assert server.wrote == {}
