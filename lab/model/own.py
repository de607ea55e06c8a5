"""What a service's own program is made from, and what a form's program has otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of a program: the version that the build asked for, and what it was given ("v1.2.3", "./folder",
    "other/path v1.2.3")."""

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
    """What is another one in a form's program than in the service's own: a module, or a file of the source.

    "beside" is what the service itself makes beside the form, in one line.
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
    lowered: tuple[Change, ...] = ()  # lines of go.mod and go.work, in the copy that every form is made from


def clause(what: str, kind: str, before: str, after: str) -> str:
    """A change of a module's version, or of a line of go.mod, for people."""
    if kind == "beside":
        return what
    if not after:
        return f"{what}, {before}, left out"
    return f"{what} {before} {kind} {'by' if kind == 'replaced' else 'to'} {after}"
