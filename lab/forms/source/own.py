"""The modules and imports of a service's own program, from `go list -deps` and a binary's build information."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab.forms.source.goask import objects
from lab.model.own import Import, Module, Own
from lab.model.regular import content

Doc = Mapping[str, Any]
# an import as gofmt writes it: alone or in a block, named or not
IMPORT: Final = re.compile(r'^\s*(?:import\s+)?(?:[\w.]+\s+)?["`]([^"`]+)["`]')


def modules(packages: Sequence[Doc]) -> dict[str, Doc]:
    """The modules of these packages, without the main one."""
    all_of = (doc.get("Module") for doc in packages)
    return {module["Path"]: module for module in all_of if module and not module.get("Main")}


def folders(found: Mapping[str, Doc]) -> set[str]:
    """The folders of these modules."""
    return {module["Dir"] for module in found.values() if module.get("Dir")}


def used(module: Doc, top: Path | None = None) -> Module:
    """A module from `go list -json` or `go version -m -json`; its folder relative to `top`."""
    version, other = module.get("Version", ""), module.get("Replace")
    if not other:
        return Module(version=version, used=version)
    if other["Path"].startswith((".", "/")) or not other.get("Version"):
        return Module(version=version, used=_shown(other["Path"], top))
    same = other["Path"] == module["Path"]
    return Module(version=version, used=other["Version"] if same else f"{other['Path']} {other['Version']}")


def read(listed: Sequence[Doc], top: Path) -> Own:
    """From the packages of the build in `top`. Modules in folders are also the service's own code."""
    packages = [doc for doc in listed if not doc.get("Standard")]
    of = {doc["ImportPath"]: doc.get("Module") or {} for doc in packages}
    imports: dict[str, Import] = {}
    for doc in packages:
        if not _own(doc.get("Module") or {}):
            continue
        for package in doc.get("Imports") or ():
            module = of.get(package, {})
            if package not in imports and module and not module.get("Main"):
                imports[package] = Import(package=package, module=module["Path"], at=_at(doc, package, top))
    found = {path: used(module, top) for path, module in modules(packages).items()}
    return Own(top=top, modules=found, imports=tuple(imports.values()))


def binary(output: str) -> dict[str, Module]:
    """The modules of a built program, from the output of `go version -m -json`."""
    return {dep["Path"]: used(dep) for doc in objects(output) for dep in doc.get("Deps") or ()}


def _shown(path: str, top: Path | None) -> str:
    if top is None or not path.startswith("/"):
        return path
    near = os.path.relpath(path, top)
    return near if near.startswith("..") else f"./{near}"


def _own(module: Mapping[str, Any]) -> bool:
    other = module.get("Replace") or {}
    return bool(module.get("Main")) or (bool(other) and not other.get("Version"))


def _at(package: Mapping[str, Any], wanted: str, top: Path) -> str:
    """file:line of an import."""
    for name in package.get("GoFiles") or ():
        path = Path(package["Dir"], name)
        for number, line in enumerate(content(path).decode("utf-8", "replace").splitlines(), 1):
            found = IMPORT.match(line)
            if found and found[1] == wanted:
                shown = path.relative_to(top).as_posix() if path.is_relative_to(top) else str(path)
                return f"{shown}:{number}"
    return f"package {package['ImportPath']}"
