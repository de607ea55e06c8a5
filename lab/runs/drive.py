"""Start the guest half, follow its events, and reattach after a lost connection or a kill of this command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from lab.guest.wire import EVENTS_FILE, PLAN_FILE, Count, GuestRecord, Plan, Range, WireError, decode, dump, load, shown
from lab.model.errors import (
    DemoError,
    LabError,
    Locked,
    PreconditionError,
    ProvisioningError,
    TransientError,
)
from lab.model.events import GuestEvent, Notice, Progress
from lab.model.facts import MachineFacts
from lab.model.lab import Lab
from lab.model.paths import MANIFEST_FILE as SEAL_FILE
from lab.remote.base import Transport
from lab.runs import zipapp
from lab.system import documents
from lab.system.wait import Deadline

POLL_S: Final = 1.0
SILENCE_S: Final = 90.0  # without a new event for this long, check whether the guest half still runs
RECONNECTS: Final = 5
SEAL_POLL_S: Final = 0.2
MAX_EVENTS_BYTES: Final = documents.LOG.size
MAX_ANSWER_BYTES: Final = 8 << 20
MAX_FACT: Final = 4096  # characters
# exit codes of the guest half
ENDS: Final[dict[int, type[LabError]]] = {4: PreconditionError, 8: Locked, 75: TransientError}
Connect = Callable[[], AbstractContextManager[Transport]]
Gone = Callable[[], LabError | None]  # why the machine was removed; None while it exists


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestHome:
    """Our folder inside the machine, with the guest half."""

    root: str
    python: str = "python3"

    @property
    def guest(self) -> str:
        return f"{self.root}/{zipapp.name()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(GuestHome):
    """The paths of one run inside the machine."""

    run_id: str

    @property
    def out(self) -> str:
        return f"{self.root}/runs/{self.run_id}/guest"

    @property
    def plan(self) -> str:
        return f"{self.root}/runs/{self.run_id}/{PLAN_FILE}"


@dataclass(slots=True)
class Followed:
    """The events of the guest read so far."""

    offset: int = 0
    rest: bytes = b""
    records: list[GuestRecord] = field(default_factory=list)
    cells: set[str] = field(default_factory=set)  # ids; a rerun is the same cell
    unproven: dict[str, str] = field(default_factory=dict)  # form -> why its proof failed
    ended: str = ""  # "" while it runs, else "done" or "failed"
    reason: str = ""


def install(transport: Transport, home: GuestHome, deadline: Deadline) -> None:
    """Copy the guest half into the machine, once per version."""
    if not transport.run(["test", "-s", home.guest], deadline).ok:
        transport.put_bytes(zipapp.build(), home.guest, deadline, mode=0o755)


def call(transport: Transport, home: GuestHome, deadline: Deadline, verb: str, *options: str) -> dict[str, Any]:
    """Run one verb of the guest half and read its one-line JSON answer. Raises DemoError with its error."""
    result = transport.run([home.python, home.guest, verb, *options], deadline, max_output=MAX_ANSWER_BYTES)
    try:
        answer: dict[str, Any] | None = load(dict[str, Any], result.text().strip().splitlines()[-1])
    except (WireError, IndexError):
        answer = None
    if not result.ok or answer is None:
        failure = answer or {}
        kind = ENDS.get(result.code, DemoError)
        raise kind(
            f"the guest half failed at {verb!r}: {failure.get('error') or f'exit code {result.code}'}",
            fix=str(failure.get("fix") or "lab doctor"),
            detail=None if failure else result.tail(),
        )
    return answer


def facts(transport: Transport, home: GuestHome, deadline: Deadline, *mount: str) -> tuple[MachineFacts, float]:
    """Prepare the machine for runs; returns its facts, checked, and the seconds of its clock.

    Raises DemoError for a fact of the wrong type: everything later depends on them, including the report.
    """
    answer = call(transport, home, deadline, "prepare", "--journal", f"{home.root}/mounts.json", *mount)
    try:
        checked = decode(_Facts, answer)
        facts = MachineFacts.of({name: value for name, value in answer.items() if name != "clock_ns"})
        for name, value in answer.items():
            if (
                len(name) > MAX_FACT
                or len(dump(value)) > MAX_FACT
                or (isinstance(value, str) and not value.isprintable())
            ):
                raise WireError(f"at most {MAX_FACT} printable characters are expected").inside(shown(name))
    except WireError as error:
        fix = f"see lab exec -- python3 {home.guest} facts, or create the machine again"
        raise DemoError(f"the machine has an invalid fact: {error}", fix=fix) from error
    return facts, checked.clock_ns / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the answer of `prepare` has to have."""

    clock_ns: Count
    kernel: str
    cpus: Annotated[int, Range(1, 1 << 16)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What a start found or made. pid: of the guest half, None when it ended; gave_way: it replaced standby forms."""

    pid: Annotated[int, Range(1, 1 << 31)] | None
    gave_way: bool = False


def start(transport: Transport, site: Site, plan: Plan, artifacts: str, deadline: Deadline) -> Launched:
    """Start the plan in the machine with the binaries in `artifacts`; a second start of the same plan does nothing.

    A run can end before its start is answered; `follow` says how.
    """
    return _launch(transport, site, plan, artifacts, deadline, "start")


def start_standby(transport: Transport, site: Site, plan: Plan, artifacts: str, deadline: Deadline) -> int:
    """Start the plan's forms on standby, instead of those there now; the process id of the guest half."""
    pid = _launch(transport, site, plan, artifacts, deadline, "start-standby").pid
    if pid is None:
        raise DemoError("the standby process exited when it started", fix="lab logs, then run the command again")
    return pid


def _launch(transport: Transport, site: Site, plan: Plan, artifacts: str, deadline: Deadline, verb: str) -> Launched:
    transport.put_bytes(dump(plan).encode(), site.plan, deadline)
    options = ("--plan", site.plan, "--out", site.out, "--artifacts", artifacts)
    try:
        return decode(Launched, call(transport, site, deadline, verb, *options))
    except WireError as error:
        raise DemoError(f"invalid answer of the guest half: {error}", fix="run the command again") from error


def follow(
    lab: Lab, connect: Connect, site: Site, plan: Plan, deadline: Deadline, gone: Gone = lambda: None
) -> Followed:
    """Read events until the guest half is done or failed; reconnects after a lost connection and resumes at the offset.

    Raises DemoError (it died or failed), ProvisioningError (the machine is unreachable), and the error from `gone`.
    """
    followed = Followed()
    total = sum(len(life.cells) for life in plan.lives)
    for attempt in range(RECONNECTS + 1):
        try:
            with connect() as transport:
                _read_until_end(lab, transport, site, followed, total, deadline, gone)
            break
        except TransientError as error:
            if attempt == RECONNECTS:
                raise ProvisioningError("lost the connection to the machine during the demo", fix="lab demo") from error
            lab.bus.emit(Notice(level="warning", text="connection lost; the demo continues, reconnecting"))
    if followed.ended == "failed":
        raise DemoError(f"the demo failed in the machine: {followed.reason}", fix="lab logs")
    return followed


def _read_until_end(
    lab: Lab, transport: Transport, site: Site, followed: Followed, total: int, deadline: Deadline, gone: Gone
) -> None:
    silent = Deadline.after(SILENCE_S)
    exited: DemoError | None = None  # once its process is gone
    while True:
        fresh = read_new(transport, site, followed, deadline)
        for record in fresh:
            _tell(lab, record, followed, total)
        if fresh:
            silent, exited = Deadline.after(SILENCE_S), None
        elif followed.ended == "done" or (followed.ended and exited):
            return
        elif (why := gone() or exited) is not None:
            raise why
        elif followed.ended or silent.passed():  # an attempt that failed may be followed by one that has just started
            exited = _exited(transport, site, deadline)
            silent = Deadline.after(SILENCE_S)
        if deadline.passed():
            raise DemoError("the demo did not end in time", fix="see lab logs, then run lab demo again to resume")
        if not exited and not (fresh and followed.ended):  # what it wrote before it exited is read at once
            deadline.sleep(POLL_S)


def read_new(transport: Transport, site: Site, followed: Followed, deadline: Deadline) -> list[GuestRecord]:
    """The complete lines written since the last call; keeps an incomplete one for the next."""
    events = f"{site.out}/{EVENTS_FILE}"
    room = MAX_EVENTS_BYTES - followed.offset + 1
    data = b"".join(transport.stream(events, followed.offset, deadline, max_bytes=room))
    followed.offset += len(data)
    if followed.offset > MAX_EVENTS_BYTES:
        raise DemoError(f"the guest half wrote more than {MAX_EVENTS_BYTES} bytes of events", fix="lab down, lab demo")
    *lines, followed.rest = (followed.rest + data).split(b"\n")
    fresh = []
    for line in lines:
        if line.strip():
            try:
                fresh.append(load(GuestRecord, line))
            except WireError:
                continue  # a truncated line of a killed guest half; the next one writes the event again
    return fresh


def _tell(lab: Lab, record: GuestRecord, followed: Followed, total: int) -> None:
    followed.records.append(record)
    lab.bus.emit(GuestEvent(kind=record.kind, at_ns=record.at_ns, data=record.data))
    if record.kind == "cell":
        followed.cells.add(str(record.data.get("id", "")))
        lab.bus.emit(Progress(name="run", done=len(followed.cells), total=total, unit="cells"))
    if record.kind == "proof" and not record.data.get("ok"):
        followed.unproven[str(record.data.get("form", ""))] = str(record.data.get("reason", ""))
    if record.kind == "state" and record.data.get("phase") == "running":
        followed.ended = ""  # an earlier attempt of the same plan had ended
    if record.kind in ("done", "failed"):
        followed.ended = record.kind
        followed.reason = str(record.data.get("reason", ""))


def wait_sealed(transport: Transport, site: Site, deadline: Deadline) -> None:
    """Wait for the seal: it also covers the events, so it follows shortly after the last one."""
    while not deadline.passed() and not transport.run(["test", "-s", f"{site.out}/{SEAL_FILE}"], deadline).ok:
        deadline.sleep(SEAL_POLL_S)


def _exited(transport: Transport, site: Site, deadline: Deadline) -> DemoError | None:
    """None while the guest half runs."""
    state = call(transport, site, deadline, "status", "--out", site.out)
    if state.get("alive"):
        return None
    return DemoError(
        f"the guest half exited (last phase: {state.get('phase', 'unknown')})",
        fix="run lab demo again to resume",
        detail=str(state.get("reason", "")),
    )
