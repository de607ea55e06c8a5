"""The modules of a service's own program, and how a form's program differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of a program: the required version, and the one used ("v1.2.3", "./folder", "other/path v1.2.3")."""

    version: str
    used: str

    @property
    def replaced(self) -> bool:
        return self.used != self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One package of another module that the service's own code imports."""

    package: str
    module: str
    at: str  # file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference of a form's program from the service's own: a module, or a file of the source.

    "beside": instrumentation that the service itself has, in one line.
    """

    what: str
    kind: str  # raised | lowered (after "": left out) | replaced | added | file | beside
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A service's program as plain `go build` makes it. `top`: the folder of its go.mod."""

    top: Path = Path()
    modules: dict[str, Module] = field(default_factory=dict)
    imports: tuple[Import, ...] = ()
    lowered: tuple[Change, ...] = ()  # lines of go.mod and go.work, in the copy that every form is built from


def clause(what: str, kind: str, before: str, after: str) -> str:
    """A change of a module version, or of a line of go.mod, as text."""
    if kind == "beside":
        return what
    if not after:
        return f"{what}, {before}, left out"
    return f"{what} {before} {kind} {'by' if kind == 'replaced' else 'to'} {after}"
