"""A connection to a machine that ends as soon as the machine hangs or is suspended, whatever it waits for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Final, Self

from lab.machines import free, hang
from lab.machines.providers.base import Provider
from lab.machines.vm import heartbeat
from lab.model.errors import Cancelled, LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Handle
from lab.model.paths import HEARTBEAT_LOG, SERIAL_LOG
from lab.remote.base import Transport

LOOK_EVERY_S: Final = 1.0
BROKEN_S: Final = 4.0  # after a heartbeat is late, which a snapshot does not take
POLL_S: Final = 0.05
Dial = Callable[[], Transport]


@contextlib.contextmanager
def session(lab: Lab, provider: Provider, handle: Handle, dial: Dial) -> Iterator[Transport]:
    """The connection that `dial` opens, closed at the end. Raises Hung in place of an error that a hang causes.

    Raises ProvisioningError when the machine stays paused or its process stopped.
    """
    if not (lab.paths.machine(handle.name) / HEARTBEAT_LOG).exists():  # no heartbeat to watch
        with dial() as link:
            yield link
        return
    with _Watch(lab, provider, handle) as watch:
        try:
            with watch.dialled(dial) as link:
                yield link
        except Cancelled:
            raise
        except LabError as error:
            if watch.hung is None:
                raise
            raise watch.hung from error


class _Watch:
    """Watches the heartbeat in its own thread; a hang that cannot be resumed, or a pause, ends the connection."""

    def __init__(self, lab: Lab, provider: Provider, handle: Handle) -> None:
        self.hung: ProvisioningError | None = None
        self._lab, self._provider, self._handle = lab, provider, handle
        self._folder = lab.paths.machine(handle.name)
        self._over = threading.Event()
        self._link: Transport | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def dialled(self, dial: Dial) -> Transport:
        """The result of `dial`, which can block for minutes on a hung machine: given up when it hangs."""
        dialled: Future[Transport] = Future()

        def work() -> None:
            try:
                link = dial()
            except BaseException as error:  # noqa: BLE001  # raised again below
                dialled.set_exception(error)
                return
            dialled.set_result(link)
            if self._over.is_set():
                link.close()

        threading.Thread(target=work, daemon=True).start()  # an executor would join it at the end
        while wait([dialled], POLL_S).not_done:
            if self.hung is not None:
                self._over.set()
                raise self.hung
            if self._lab.cancel.is_set():
                self._over.set()
                raise Cancelled
        self._link = dialled.result()
        return self._link

    def _look(self) -> None:
        broken_at_s = 0.0
        while not self._over.wait(LOOK_EVERY_S):
            beat = heartbeat.last_beat(self._folder / HEARTBEAT_LOG)
            if beat is None or beat.age_s <= hang.LATE_S:
                continue
            with contextlib.suppress(LabError):
                now = self._provider.inspect(self._lab, self._handle)
                broken_at_s = (broken_at_s or time.monotonic()) if now.phase == "broken" else 0.0
                if self._over.is_set():
                    return
                if broken_at_s and time.monotonic() - broken_at_s >= BROKEN_S * _waiting():
                    name = self._handle.name
                    self.hung = ProvisioningError(f"machine {name} is suspended: {now.reason}", fix=f"lab up {name}")
                elif now.phase == "hung":
                    hung = hang.error(self._handle.name, now, str(self._folder / SERIAL_LOG))
                    if not free.freed(self._lab, self._provider, self._handle, hung):
                        self.hung = hung
                if self.hung is None:
                    continue
                if self._link is not None:
                    self._link.close()
                return


def _waiting() -> float:
    """How many programs share a processor of this host: a QEMU that waits for one answers that much later."""
    import psutil

    return max(1.0, psutil.getloadavg()[0] / (psutil.cpu_count() or 1))
