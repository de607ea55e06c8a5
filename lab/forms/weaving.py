"""A form's service built once more while somebody watches, and what its weaver added to the source.

The packages of the service are compiled for real (each gets a comment of its own in the copy); what it imports comes
from the build cache. Nothing is published: the binary that a machine runs is the cached one.

The copy is always in the same folder: Orchestrion counts the path of a module that a form brings (v1.12.0,
internal/jobserver/buildid) among its inputs, so that in another folder everything is compiled again, for minutes.
"""

from __future__ import annotations

import difflib
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.forms import building, cache, wanted
from lab.forms.binary_check import prove
from lab.forms.build_dir import BuildDir, how_to_mend, prepare
from lab.forms.declared import artifact_of
from lab.forms.recipe import HOST, Recipe
from lab.forms.source.shelf import Shelf
from lab.model.errors import DemoError
from lab.model.form import Form
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.model.service import Service
from lab.system import locks, proc
from lab.system.toolchain import find
from lab.system.wait import Deadline

WOVEN: Final = "**/orchestrion/src/**/*.go"  # what Orchestrion gives the compiler instead of a file
CONTEXT: Final = 2  # lines around a change


@dataclass(frozen=True, slots=True, kw_only=True)
class WovenFile:
    """One file of the service, woven. `diff`: unified; `added`: lines."""

    name: str
    diff: str
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WovenSource:
    """A build that was watched. seconds: of the compiler and the weaver alone."""

    seconds: float
    files: tuple[WovenFile, ...]


def weave(
    lab: Lab, form: Form, service: Service, *, arch: Arch, on_line: Callable[[str], None], deadline: Deadline
) -> WovenSource:
    """Build it from warm caches; `on_line` hears what the build prints. Raises DemoError, and as `building.build`."""
    building.build(lab, [form], service, arch=arch)  # what it is woven with, and every module
    place = lab.paths.build / "weave" / f"{artifact_of(form)}-{arch}"
    with locks.hold(lab.paths.locks / f"weave-{place.name}", what=f"the live build of {form.name}", deadline=deadline):
        try:
            return _weave(lab, form, service, arch, place, on_line, deadline)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _weave(
    lab: Lab, form: Form, service: Service, arch: Arch, place: Path, on_line: Callable[[str], None], deadline: Deadline
) -> WovenSource:
    shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
    place.mkdir(parents=True, mode=0o700)
    recipe = wanted.recipes_for(lab, [form], service, arch, HOST, Shelf(place / "read"), place / "asked")[
        artifact_of(form)
    ]
    toolchain = find(lab, recipe.spec.toolchain, deadline=deadline)
    scratch = prepare(lab, recipe, toolchain, place / recipe.name, deadline=deadline)
    before = _sources(scratch.root)
    for package in {path.parent for path in before}:
        _touch(min(path for path in before if path.parent == package))
    began = time.monotonic()
    _build(lab, scratch, recipe, on_line, deadline)
    return WovenSource(seconds=round(time.monotonic() - began, 1), files=tuple(_woven(scratch, before)))


def _sources(root: Path) -> dict[Path, str]:
    """The service's own Go files in the copy; not those that the form laid over it."""
    files = (path for path in root.rglob("*.go") if not path.name.endswith("_test.go"))
    own = (path for path in files if not any(part.startswith((".", "_")) for part in path.relative_to(root).parts))
    return {path: path.read_text(encoding="utf-8") for path in own}


def _touch(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n// {secrets.token_hex(8)}\n")


def _build(lab: Lab, scratch: BuildDir, recipe: Recipe, on_line: Callable[[str], None], deadline: Deadline) -> None:
    out = scratch.root.with_name(scratch.root.name + ".out")
    values = {"out": str(out), "main": recipe.main, "ldflags": recipe.ldflags(recipe.key())}
    found = {tool.name: cache.find(lab, tool.key(), tool.name) for tool in recipe.tools}
    tools = {name: artifact.path for name, artifact in found.items() if artifact is not None}
    log = lab.paths.logs / f"weave-{recipe.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    env = {**scratch.env, "GOFLAGS": f"{scratch.env['GOFLAGS']} -work"}  # keeps what was woven, in TMPDIR
    for step in recipe.spec.steps:
        argv = scratch.argv(step, values, tools)
        result = proc.run(argv, deadline=deadline, env=env, cwd=scratch.root, on_line=on_line, log=log)
        if not result.ok:
            raise DemoError(
                f"{recipe.label} does not build (exit code {result.code})",
                fix=how_to_mend(scratch, log),
                detail=result.tail(),
                log=str(log),
            )
    prove(recipe, out)


def _woven(scratch: BuildDir, before: dict[Path, str]) -> list[WovenFile]:
    """Each file of the service that was given to the compiler with something added, the most changed first."""
    found = []
    temporary = Path(scratch.env["TMPDIR"])
    made = {path.as_posix(): path for path in temporary.glob(WOVEN)}
    for path, text in before.items():
        name = path.relative_to(scratch.root).as_posix()
        matches = [woven for woven in made if woven.endswith("/" + name)]
        if not matches:
            continue
        after = _code(made[min(matches, key=len)].read_text(encoding="utf-8"))
        diff = list(difflib.unified_diff(_code(text), after, f"a/{name}", f"b/{name}", lineterm="", n=CONTEXT))
        added = sum(line.startswith("+") for line in diff[2:])
        if added:
            found.append(WovenFile(name=name, diff="\n".join(diff), added=added))
    return sorted(found, key=lambda one: (-one.added, one.name))


def _code(text: str) -> list[str]:
    """The lines without those that are comments alone: the weaver writes its own, and loses some."""
    return [line for line in text.rstrip().splitlines() if not line.startswith("//")]
