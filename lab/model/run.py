"""A run as a value: everything that verdict and report need, read once from a run directory.

Requests and spans stay on disk until asked for: a run may hold hundreds of thousands. Every value carries the path of
the file it came from, relative to the run directory, so that a claim can point at its evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lab.guest.wire import Canary, Cell, FileEntry, GuestRecord, Plan, Span
from lab.model.events import Record
from lab.model.own import Change


class Request(NamedTuple):
    """One row of requests.csv.gz. status: HTTP code, 0 transport error, -1 timeout."""

    intended_ns: int
    start_ns: int
    end_ns: int
    status: int
    type: str
    request_id: str
    trace_id: str

    @property
    def latency_ms(self) -> float:
        """From the intended send time: a late generator or a busy service cannot hide waiting."""
        return (self.end_ns - self.intended_ns) / 1e6


def no_requests() -> Iterator[Request]:
    return iter(())


def no_spans() -> Iterator[Span]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCell:
    """One attempt of one cell. `folder` is relative to the run directory; the two callables read again each time."""

    cell: Cell
    folder: str
    requests: Callable[[], Iterator[Request]] = no_requests
    spans: Callable[[], Iterator[Span]] = no_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCanary:
    """The proof of one form in one process life. `block` and `attempt` are None where the path does not tell."""

    canary: Canary
    path: str
    block: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """What the host knows of a form in this run: identity, and what building it took. None = unknown."""

    name: str
    title: str = ""
    mechanism: str = "none"
    of: str = ""
    sha256: str = ""
    build_id: str = ""
    size_bytes: int | None = None
    cold_s: float | None = None
    warm_s: float | None = None
    files_changed: int | None = None
    modules_added: int | None = None
    claims: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()  # of its program against the service's own


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A form that was asked for and has no binary: it does not fit the service, or does not build."""

    form: str
    title: str = ""
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGrade:
    """What the machine's figures are worth, as it was decided when the run came home."""

    word: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """manifest.json: what was run, where and by which command. Empty text: an earlier version did not write it."""

    run_id: str = ""
    created: str = ""  # UTC, ISO 8601
    scenario: str = ""
    scenario_title: str = ""
    profile: str = ""
    seed: int = 0
    provider: str = ""
    acceleration: str = "unknown"  # tcg | kvm | hvf | whpx | none: no hypervisor of ours
    host: dict[str, Any] = field(default_factory=dict)
    guest: dict[str, Any] = field(default_factory=dict)  # kernel, arch, cpus, memory_mib, lockdown, btf, clocksource, …
    toolchain: dict[str, str] = field(default_factory=dict)
    forms: tuple[RunForm, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    playbook_sha256: str = ""
    image_id: str = ""
    command: tuple[str, ...] = ()
    guest_manifest_sha256: str = ""
    lab_version: str = ""
    threshold_pct: dict[str, float] = field(default_factory=dict)  # metric -> T, written before the run
    primary: tuple[str, ...] = ()
    profile_hash: str = ""  # runs with one hash measure alike, so that the noise of one tells of the next
    floor_pct: dict[str, float] = field(default_factory=dict)  # metric -> F when it was sealed; none: too few sessions
    grade: RunGrade = RunGrade()
    files: tuple[FileEntry, ...] | None = None  # each file that was sealed; None: an earlier version named none


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What a report rests on of the facts that the guest half found; all of them are in `Run.facts`, to be shown."""

    kernel: str = ""
    arch: str = ""
    lockdown: str = ""
    virtualisation: str | None = None
    emulated: bool = False
    battery: bool = False
    clock_behind_s: float | None = None  # of a restored machine, against the host's clock
    clock: str = "real"  # counted: it advances by the instructions that are executed
    instruction_ns: float | None = None  # how far a counted clock advances by one instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A whole run. `problems`: sentences about what is missing or could not be read; nothing is left out silently."""

    manifest: RunManifest
    plan: Plan
    cells: tuple[RunCell, ...]
    canaries: tuple[RunCanary, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    machine: MachineFacts = field(default_factory=MachineFacts)
    records: tuple[GuestRecord, ...] = ()
    host_events: tuple[Record, ...] = ()
    outcome: Literal["complete", "failed", "incomplete"] = "complete"
    files: dict[str, int] = field(default_factory=dict)  # path relative to the run directory -> bytes
    problems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.manifest.run_id or self.plan.run_id

    def form(self, name: str) -> RunForm:
        """Host facts of a form; a bare one from the plan when the manifest does not name it."""
        for form in self.manifest.forms:
            if form.name == name:
                return form
        spec = self.plan.forms.get(name)
        if spec is None:
            return RunForm(name=name)
        return RunForm(name=name, mechanism=spec.mechanism, sha256=spec.sha256, build_id=spec.build_id)
