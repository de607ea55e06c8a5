"""The same in a machine of its own, on standby already: what cannot be done to this host.

lab up NAME --provider qemu --clock real; lab snapshot NAME --form baseline,orchestrion-otel,ebpf
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

import psutil

from lab.flows import live
from lab.guest.wire.live import LiveEvent
from lab.machines import lifecycle
from lab.model.lab import Lab
from lab.stage.beat.host_use import HostUse
from lab.system.wait import Deadline
from tests.stage_faults.injectors import GROUP, Injector, burning, capped

STEP_S: Final = 4
AT_S: Final = 2.0
HOGS: Final = "for n in 1 2 3 4 5 6; do timeout 20 sh -c 'while :; do :; done' & done; wait"


class Machine:
    """A machine with forms on standby."""

    def __init__(self, lab: Lab, name: str, stack: ExitStack) -> None:
        self.lab, self.name = lab, name
        self.cast = stack.enter_context(live.opened(lab, name))
        found = lifecycle.machine(lab, name)
        assert found is not None
        self.machine = found
        if self.cast.clock == "real":  # a counted clock does not mind what others do
            for pid in self.pids():
                (GROUP / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """QEMU, its keeper: what names the machine's folder."""
        use = self.use()
        assert use is not None
        mine = psutil.Process()
        ours = {mine.pid, *(child.pid for child in mine.children(recursive=True))}
        return [pid for pid in use.own_s if pid not in ours]

    def use(self) -> HostUse | None:
        return HostUse.now(self.lab.paths.machine(self.name))

    def order(self, *, kind: str, **fields: Any) -> list[LiveEvent]:
        forms = fields.pop("forms", ())
        if kind == "load":
            return list(self.cast.load(forms, **fields))
        return list(self.cast.request(fields.pop("request"), forms, **fields))

    def run(self, *argv: str) -> None:
        with lifecycle.connected(self.lab, self.machine) as transport:
            transport.run(list(argv), Deadline.after(60.0))


@contextmanager
def stepped(place: Any) -> Iterator[None]:
    """The machine's clock is set forward in the middle of the load, and back afterwards."""
    timer = threading.Timer(AT_S, place.run, ("date", "-s", f"+{STEP_S} seconds"))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        place.run("date", "-s", f"-{STEP_S} seconds")


@contextmanager
def hogs_inside(place: Any) -> Iterator[None]:
    """Programs that take all the CPU they get, in the machine."""
    thread = threading.Thread(target=place.run, args=("sh", "-c", HOGS))
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            place.run("pkill", "-x", "timeout")
        thread.join()


def throttled(place: Any) -> AbstractContextManager[None]:
    """The whole machine."""
    return capped(place.pids, 8_000, 10_000)


IN_A_MACHINE: Final[dict[str, dict[str, Injector]]] = {
    "real": {
        "machine: clean": Injector(truth=""),
        "machine: its clock is set": Injector(truth="clock", around=stepped),
        "machine: CPU hogs in it": Injector(truth="background work", around=hogs_inside),
        "machine: CPU hogs on its host": Injector(truth="noisy host", around=lambda _: burning(3)),
        "machine: CPU quota on it": Injector(truth="throttled", around=throttled),
    },
    # its time is counted in instructions: what its host does to it changes nothing
    "counted": {
        "counted machine: clean": Injector(truth=""),
        "counted machine: its clock is set": Injector(truth="clock", around=stepped),
        "counted machine: CPU hogs in it": Injector(truth="background work", around=hogs_inside),
        "counted machine: CPU hogs on its host": Injector(truth="", around=lambda _: burning(6), most=3),
        "counted machine: CPU quota on it": Injector(truth="", around=throttled, most=3),
    },
}
