"""Packages that use cgo. Forms are built with cgo off: some packages have a fallback in Go, some a stub, some none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.model.errors import DemoError
from lab.model.regular import content

# The text of a stub: "go-sqlite3 requires cgo to work. This is a stub".
STUB: Final = re.compile(
    rb"(requires?|needs?|without|enable) (cgo|CGO)|CGO_ENABLED|cgo (is )?(required|needed|disabled)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A package with cgo files: `name` is "module version", or the file when it is the service's own. `warning` is
    empty when it may work without cgo."""

    name: str
    warning: str = ""


def needs(off: Sequence[Mapping[str, Any]], on: Sequence[Mapping[str, Any]]) -> tuple[Need, ...]:
    """The packages of a build that use cgo, from its packages with cgo off and on. The standard library is left out."""
    without = {package["ImportPath"]: package for package in off}
    out: dict[str, Need] = {}
    for package in on:
        if package.get("Standard") or not package.get("CgoFiles"):
            continue
        name = _name(package)
        fallback = without.get(package["ImportPath"], {})
        only_without = set(fallback.get("GoFiles") or ()) - set(package.get("GoFiles") or ())
        stubs = [file for file in sorted(only_without) if STUB.search(content(Path(package["Dir"]) / file))]
        warning = ""
        if stubs:
            warning = f"{name} does not work without cgo ({stubs[0]} says so): forms are built with cgo off"
        elif not only_without:
            warning = f"{name} needs cgo and has no fallback: forms are built with cgo off"
        out.setdefault(name, Need(name=name, warning=warning))
    return tuple(out.values())


def refused(package: Mapping[str, Any], detail: str) -> DemoError:
    """The error for a package without any file for cgo off."""
    message = f"{_name(package)} needs cgo (package {package['ImportPath']}): forms are built with cgo off"
    return DemoError(message, fix="use a package without cgo in the service", detail=detail)


def _name(package: Mapping[str, Any]) -> str:
    module = package.get("Module") or {}
    if module.get("Version"):
        return f"{module['Path']} {module['Version']}"
    inner = Path(package["Dir"]).relative_to(module["Dir"]) if module.get("Dir") else Path()
    return str(inner / package["CgoFiles"][0])
