"""A form as data: one way to instrument the service (form.yaml and expected-spans.yaml of one folder)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.model.own import Change

Mechanism = Literal["none", "compile-time", "run-time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Keeps the service's version of a module from `at_least` on; an older or missing one becomes `otherwise`."""

    at_least: str
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSpec:
    """Additions to the go.mod of the copy."""

    require: dict[str, str] = field(default_factory=dict)  # module -> version
    hold: dict[str, Hold] = field(default_factory=dict)  # modules that the form's own requirements may not raise
    replace: dict[str, str] = field(default_factory=dict)  # module -> "./folder of the overlay" or its version
    packages: tuple[str, ...] = ()  # injected by the weaver, so resolved beside the main package
    lookups: tuple[str, ...] = ()  # packages that the weaver resolves but that are not compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A condition under which a form does not fit a service. A name matches the module and everything below it."""

    why: str
    imports: tuple[str, ...] = ()  # imported by the service's own packages
    forks: tuple[str, ...] = ()  # in its program, replaced by a folder or another module
    replaces: tuple[str, ...] = ()  # the same, or replaced by another version
    only_with: tuple[str, ...] = ()  # applies to programs that contain all of these modules
    since: dict[str, str] = field(default_factory=dict)  # module in its program -> this version or a newer one
    warns: bool = False  # the form is built anyway; this is reported as a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A Go program that a build step runs on the host, built from its own module folder."""

    name: str
    module: str  # folder with go.mod and go.sum, relative to the form's
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """How to build a binary from a copy of its source. Steps are argv lists; paths are relative to the form."""

    toolchain: str = "go1.26.1"
    overlay: tuple[str, ...] = ()  # folders copied into the copy; they replace files
    module: ModuleSpec = field(default_factory=ModuleSpec)
    sums: tuple[str, ...] = ()  # go.sum files whose lines are added to the copy's
    tools: tuple[ToolSpec, ...] = ()
    steps: tuple[tuple[str, ...], ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    woven: dict[str, str] = field(default_factory=dict)  # function in the binary -> function that must also be in it
    modules: dict[str, str] = field(default_factory=dict)  # {module:NAME} -> "path@version", downloaded, not required
    uses: dict[str, tuple[str, ...]] = field(default_factory=dict)  # variable -> host programs, the first found
    before: tuple[tuple[str, ...], ...] = ()  # steps that complete the source, run before modules are resolved
    exclude: tuple[str, ...] = ()  # entries of the source that exist only during development


@dataclass(frozen=True, slots=True, kw_only=True)
class OffWhen:
    """Probes that are switched off when every condition holds, e.g. lockdown in (integrity, confidentiality)."""

    when: dict[str, tuple[str, ...]]
    off: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAgent:
    """The agent of a run-time form; `artifact` names a Go helper folder under demo/."""

    artifact: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    off_when: tuple[OffWhen, ...] = ()
    ready_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectRule:
    """One difference from the reference; an empty selector selects all. Later rules win."""

    request: str = "*"
    node: str = "*"
    family: str = ""
    kind: str = ""
    mode: str = "exact"  # none | exact | first | range
    first: int = 0
    min_ratio: float = 1.0
    max_ratio: float = 1.0
    parent: str = "always"
    cause: str = ""
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    topology: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraRule:
    """Known spans beyond the reference."""

    request: str = "*"
    family: str = ""
    kind: str = ""
    match: str = "*"
    per_request: float = 1.0
    start: bool = False
    cause: str = ""
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expectation of a form: differences from a reference, and spans beyond it. Later rules win."""

    rules: tuple[ExpectRule, ...] = ()
    extra: tuple[ExtraRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One folder of demo/forms."""

    root: Path
    name: str
    title: str
    mechanism: Mechanism
    of: str = ""  # uses that form's service artifact unchanged
    build: BuildSpec | None = None
    env: dict[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    delay: tuple[str, float] | None = None  # ("cpu" | "wait", multiple of the practical threshold)
    agent: FormAgent | None = None
    conflicts: tuple[Conflict, ...] = ()
    proof: Literal["some", "none"] = "none"
    default_expect: Literal["all", "none"] = "all"
    expected: Expected = field(default_factory=Expected)  # for every service
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A built file in the cache: `key` is the digest of all its inputs, `sha256` of the file."""

    name: str  # "baseline", "orchestrion-otel", "agent", "sink", "load"
    key: str
    path: Path
    sha256: str
    size_bytes: int
    build_id: str
    cold_s: float | None = None
    warm_s: float | None = None
    built_now: bool = False
    facts: dict[str, str] = field(default_factory=dict)  # go version, module count, …
    made_by: dict[str, str] = field(default_factory=dict)  # module that instruments -> its version: weaver, agent
    modules: tuple[str, ...] | None = None  # whose code is in it, except its own; None: unknown
    woven_files: tuple[str, ...] | None = None  # files that a weaver changed, at least
    changes: tuple[Change, ...] = ()  # against the service's own program
