"""Waits until a started machine is usable, and diagnoses it when it is not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.machines import hang, watch
from lab.machines.providers.base import Provider
from lab.machines.vm import acceleration, console, heartbeat
from lab.model.errors import LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Endpoint, Handle, Observed, SshEndpoint
from lab.model.paths import SERIAL_LOG
from lab.remote import connect
from lab.remote.base import Transport
from lab.system import store
from lab.system.wait import Deadline, NotYet, until

BOOT_S: Final = 60.0
SSH_S: Final = 30.0
ASK_S: Final = 3.0
POLL_S: Final = 0.05
BANNER: Final = b"SSH-"


def wait_alive(lab: Lab, provider: Provider, handle: Handle, directory: Path) -> Observed:
    """Until its heartbeat is fresh. Raises Hung, or ProvisioningError with a diagnosis: it panicked, did not boot, …"""
    accel = handle.accel

    def probe() -> Observed | NotYet:
        current = provider.inspect(lab, handle)
        if current.alive:
            return current
        if current.phase == "hung":
            raise hang.error(handle.name, current, str(directory / SERIAL_LOG))
        if current.phase in {"stopped", "absent", "created"} or console.panic_text(_serial(directory)):
            raise diagnose(current, directory)
        return NotYet(reason=current.reason)

    try:
        deadline = Deadline.after(acceleration.scaled_s(BOOT_S, accel), lab.cancel)
        return until(probe, what="the machine to boot", deadline=deadline, hint="lab logs", poll_s=POLL_S, error=_Late)
    except _Late as late:
        raise diagnose(provider.inspect(lab, handle), directory) from late


def wait_banner(lab: Lab, endpoint: SshEndpoint, accel: str) -> None:
    """Until an SSH server answers on the port; nothing is sent. Raises ProvisioningError."""

    def probe() -> bool | NotYet:
        try:
            with socket.create_connection((endpoint.host, endpoint.port), timeout=5) as sock:
                greeting = sock.recv(len(BANNER))
        except OSError as error:
            return NotYet(reason=str(error))
        return True if greeting == BANNER else NotYet(reason="the port gives no SSH banner yet")

    deadline = Deadline.after(acceleration.scaled_s(SSH_S, accel), lab.cancel)
    until(probe, what="the machine's SSH server", deadline=deadline, hint="lab logs", poll_s=POLL_S)


def ssh_is_up(endpoint: SshEndpoint, accel: str) -> bool:
    """Whether an SSH server answers there now, with the pinned host key. Raises SecurityStop for another key."""
    from lab.remote import hostkeys, ssh_login

    kind = endpoint.host_key.split()[0]
    try:
        shown = ssh_login.shown_key(
            endpoint.host, endpoint.port, [kind], Deadline.after(acceleration.scaled_s(ASK_S, accel))
        )
    except ProvisioningError:
        return False
    if shown.split()[:2] != endpoint.host_key.split()[:2]:
        hostkeys.refuse(f"{endpoint.host}:{endpoint.port}", hostkeys.fingerprint(shown), endpoint.host_key)
    return True


@contextlib.contextmanager
def open_session(
    lab: Lab, provider: Provider, handle: Handle, endpoint: Endpoint, directory: Path
) -> Iterator[Transport]:
    """A watched connection to a machine that should be ready; when it is not, the error holds a diagnosis."""
    accel = handle.accel
    deadline = Deadline.after(acceleration.scaled_s(SSH_S, accel), lab.cancel)

    def dial() -> Transport:
        try:
            return connect(lab, endpoint, deadline)
        except ProvisioningError as error:
            raise diagnose(provider.inspect(lab, handle), directory, error=error) from error

    with watch.session(lab, provider, handle, dial) as link:
        yield link


class _Late(ProvisioningError):
    """The deadline has passed; replaced by a diagnosis."""


def diagnose(current: Observed, directory: Path, error: LabError | None = None) -> ProvisioningError:
    """Why a machine is not ready, with its console's tail. `error`: that of connecting to it."""
    text = _serial(directory)
    running = current.phase in {"running", "broken"}
    if current.phase == "hung":
        return hang.error(directory.name, current, str(directory / SERIAL_LOG))
    if current.phase == "broken":
        return ProvisioningError(f"the machine is broken: {current.reason}", fix="lab down, then lab up")
    if not (directory / SERIAL_LOG).exists():  # a provider without a console: its status is the only evidence
        because = "" if error is None else f" ({error.message})"
        return ProvisioningError(f"the machine is not ready: {current.reason}{because}", fix="lab up")
    beat = heartbeat.last_beat(directory / "heartbeat.jsonl")
    age = None if beat is None else beat.age_s
    found = console.diagnose(
        console.ConsoleReading(serial=text, running=running, beat_age_s=age, fresh_s=heartbeat.FRESH_S)
    )
    detail = console.tail(text) or "(its serial console is empty)"
    because = f" ({error.message})" if error is not None and found.kind == "ssh-slow" else ""
    log = str(directory / SERIAL_LOG)
    return ProvisioningError(
        f"the machine {found.message}{because} [{found.kind}]", fix=found.fix, detail=detail, log=log
    )


def _serial(directory: Path) -> str:
    return store.tail(directory / SERIAL_LOG).decode("utf-8", "replace")
