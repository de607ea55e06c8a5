"""A run as a value: the input of verdict and report, read once from a run directory.

Requests and spans are read from disk on demand: a run may have hundreds of thousands. Every value has the path of its
file, relative to the run directory, as evidence for claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lab.guest.wire import Canary, Cell, FileEntry, GuestRecord, Plan, Span
from lab.model.events import Record
from lab.model.facts import HostFingerprint, MachineFacts
from lab.model.form import Artifact
from lab.model.own import Change
from lab.model.paths import SCHEMA


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
        """From the intended send time, so that it includes waiting for a late generator or a busy service."""
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
    """The proof of one form in one process life. `block` and `attempt` are None where the path does not have them."""

    canary: Canary
    path: str
    block: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """The host's facts of a form in this run: identity and build costs. None: unknown."""

    name: str
    title: str = ""
    mechanism: str = "none"
    of: str = ""
    sha256: str = ""
    build_id: str = ""
    agent_sha256: str | None = None
    size_bytes: int | None = None
    cold_s: float | None = None
    warm_s: float | None = None
    files_changed: int | None = None
    modules_added: int | None = None
    claims: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()  # against the service's own program


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArtifact:
    """One built program of this run, of a form or a helper."""

    name: str = ""
    key: str = ""
    sha256: str = ""
    size_bytes: int | None = None
    build_id: str = ""
    cold_s: float | None = None
    warm_s: float | None = None
    built_now: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)  # module that instruments -> its version; weaver, agent
    modules: tuple[str, ...] | None = None
    woven_files: tuple[str, ...] | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A requested form without a binary: it does not fit the service, or does not build."""

    form: str
    title: str = ""
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGrade:
    """The quality grade of the machine's figures, decided when the run was sealed on the host."""

    word: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """manifest.json: the run's inputs, host and command. Empty text: an earlier version did not write it."""

    schema: int = SCHEMA
    run_id: str = ""
    plan_digest: str = ""
    created: str = ""  # UTC, ISO 8601
    scenario: str = ""
    scenario_title: str = ""
    profile: str = ""
    seed: int = 0
    provider: str = ""
    acceleration: str = "unknown"  # tcg | kvm | hvf | whpx | none: no hypervisor of ours
    host: HostFingerprint = field(default_factory=HostFingerprint)
    guest: dict[str, object] = field(default_factory=dict)  # as reported; `Run.machine` reads it
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
    profile_hash: str = ""  # runs with one hash are comparable and share a noise ledger
    trap_ns: float | None = None  # CPU time of one uprobe trap on this host; None: not measured
    floor_pct: dict[str, float] = field(default_factory=dict)  # metric -> noise floor; empty: too few sessions
    grade: RunGrade = RunGrade()
    artifacts: tuple[RunArtifact, ...] = ()
    files: tuple[FileEntry, ...] | None = None  # the sealed files; None: an earlier version listed none
    self_sha256: str = ""  # of this document without this key; see lab/runs/sealed.py

    @property
    def versions(self) -> dict[str, str]:
        """What all programs of the run were built with, and what instruments some of them: by its artifacts, since
        earlier versions wrote the last one's facts as those of the run."""
        known = any(artifact.facts for artifact in self.artifacts)
        return tool_versions(self.artifacts) if known else self.toolchain


def tool_versions(artifacts: Iterable[Artifact | RunArtifact]) -> dict[str, str]:
    """The facts that have one value in all of them, since a number of modules is a fact of one program, and each module
    that instruments one of them with its version."""
    made = [*artifacts]
    first, *others = [artifact.facts for artifact in made] or [{}]
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    modules = sorted({module for artifact in made for module in artifact.made_by})
    return shared | {
        module: " and ".join(sorted({one.made_by[module] for one in made if module in one.made_by}))
        for module in modules
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A complete run. `problems`: sentences about missing or unreadable parts; none is omitted silently."""

    manifest: RunManifest
    plan: Plan
    cells: tuple[RunCell, ...]
    canaries: tuple[RunCanary, ...] = ()
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
        """The host's facts of a form; from the plan when it is not in the manifest."""
        for form in self.manifest.forms:
            if form.name == name:
                return form
        spec = self.plan.forms.get(name)
        if spec is None:
            return RunForm(name=name)
        return RunForm(name=name, mechanism=spec.mechanism, sha256=spec.sha256, build_id=spec.build_id)
