"""Packages that want cgo. Forms are built with it off: some have a fallback in Go, some a stub, some nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.model.errors import DemoError
from lab.model.regular import content

# What a stub says of itself: "go-sqlite3 requires cgo to work. This is a stub".
STUB: Final = re.compile(
    rb"(requires?|needs?|without|enable) (cgo|CGO)|CGO_ENABLED|cgo (is )?(required|needed|disabled)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A package with cgo files: `name` is "module version", or the file when it is the service's own. `warning` is
    empty when nothing tells that it does not work without."""

    name: str
    warning: str = ""


def needs(off: Sequence[Mapping[str, Any]], on: Sequence[Mapping[str, Any]]) -> tuple[Need, ...]:
    """Those of a build, from its packages with cgo off and on. The standard library does without."""
    without = {each["ImportPath"]: each for each in off}
    out: dict[str, Need] = {}
    for package in on:
        if package.get("Standard") or not package.get("CgoFiles"):
            continue
        name = _name(package)
        fallback = without.get(package["ImportPath"], {})
        only_without = set(fallback.get("GoFiles") or ()) - set(package.get("GoFiles") or ())
        says = [each for each in sorted(only_without) if STUB.search(content(Path(package["Dir"]) / each))]
        warning = ""
        if says:
            warning = f"{name} says in {says[0]} that it needs cgo: forms are built with cgo off, where it cannot work"
        elif not only_without:
            warning = f"{name} needs cgo and brings nothing in its place: forms are built with cgo off"
        out.setdefault(name, Need(name=name, warning=warning))
    return tuple(out.values())


def refused(package: Mapping[str, Any], detail: str) -> DemoError:
    """A package that has no file at all without cgo."""
    message = f"{_name(package)} needs cgo (package {package['ImportPath']}): forms are built with cgo off"
    return DemoError(message, fix="use a package that does without C in the service", detail=detail)


def _name(package: Mapping[str, Any]) -> str:
    module = package.get("Module") or {}
    if module.get("Version"):
        return f"{module['Path']} {module['Version']}"
    inner = Path(package["Dir"]).relative_to(module["Dir"]) if module.get("Dir") else Path()
    return str(inner / package["CgoFiles"][0])
