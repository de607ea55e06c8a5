"""From recipes to artifacts: what the cache has is taken, the rest is built, one heavy build per core pair."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from lab.forms import cache
from lab.forms.listing import artifact_of
from lab.forms.recipe import HOST, Recipe
from lab.forms.scratch import Scratch, how_to_mend, prepare
from lab.forms.shelf import Shelf
from lab.forms.wanted import BUILD_S, recipes_for, scratch_room
from lab.forms.workshop import Bench, Workshop, carried
from lab.forms.woven import prove
from lab.model.errors import DemoError, LabError, Locked
from lab.model.events import Progress
from lab.model.form import Artifact, Form
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.model.service import Service
from lab.system import locks, proc
from lab.system.toolchain import Toolchain, find
from lab.system.wait import Deadline

BUILD_THERE_S: Final = 3 * 3600.0  # where the machine is emulated, compiling takes about ten times as long
DOWNLOADS: Final = 4
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe to make, with its place in the list that people see."""

    recipe: Recipe
    index: int
    of: int


def build(
    lab: Lab, forms: Sequence[Form], service: Service, *, arch: Arch, workshop: Workshop | None = None
) -> dict[str, Artifact]:
    """Every binary that these forms need: by form name, and by helper name ("sink", "load", agents).

    They are compiled on this host, or in `workshop`; nothing that the cache has. Safe beside another `lab` that builds
    the same. Raises DemoError (a form does not build or was not woven), PreconditionError, TransientError (download),
    Cancelled; several failures together as an ExceptionGroup.
    """
    began = time.monotonic()
    place = HOST if workshop is None else workshop.place(Deadline.after(BUILD_S, lab.cancel))
    with scratch_room(lab) as room:
        wanted = recipes_for(lab, forms, service, arch, place, Shelf(), room / "asked")
        found = _find(lab, wanted)
        if len(found) < len(wanted):  # now copied: what was edited meanwhile counts for every form or for none
            wanted = recipes_for(lab, forms, service, arch, place, Shelf(room / "read"), room / "asked-to-copy")
            found = _find(lab, wanted, {artifact.key: artifact for artifact in found.values()})
        warm_s = time.monotonic() - began
        out = {name: replace(artifact, warm_s=warm_s) for name, artifact in found.items()}
        missing = [recipe for name, recipe in wanted.items() if name not in out]
        make = _make(lab, missing, room) if workshop is None else _make_there(lab, missing, workshop, room)
        for artifact in make:
            out[artifact.name] = artifact
    owned = {form.name: out[artifact_of(form)] for form in forms}
    helpers = {name: out[name] for name, recipe in wanted.items() if not recipe.keep_symbols}
    return {**owned, **helpers}


def _find(lab: Lab, wanted: Mapping[str, Recipe], known: Mapping[str, Artifact] | None = None) -> dict[str, Artifact]:
    """What the cache has, by name; those in `known` (by key) were found a moment ago."""

    def look(recipe: Recipe) -> Artifact | None:
        return (known or {}).get(recipe.key()) or cache.find(lab, recipe.key(), recipe.name)

    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as hashing:
        found = zip(wanted, hashing.map(look, wanted.values()), strict=True)
        return {name: artifact for name, artifact in found if artifact is not None}


def _jobs(missing: Sequence[Recipe]) -> list[Recipe]:
    """Tools before what they weave, each once."""
    return [*{tool.key(): tool for recipe in missing for tool in recipe.tools}.values(), *missing]


def _toolchains(lab: Lab, missing: Sequence[Recipe], deadline: Deadline) -> dict[str, Toolchain]:
    return {version: find(lab, version, deadline=deadline) for version in sorted({_version(r) for r in missing})}


def _make(lab: Lab, missing: Sequence[Recipe], room: Path) -> list[Artifact]:
    """Build what is missing: copies and downloads side by side, compilations by slots, tools before what they weave."""
    if not missing:
        return []
    deadline = Deadline.after(BUILD_S, lab.cancel)
    toolchains = _toolchains(lab, missing, deadline)
    jobs = _jobs(missing)
    with contextlib.ExitStack() as stack:
        downloads = stack.enter_context(ThreadPoolExecutor(max_workers=DOWNLOADS))
        compiles = stack.enter_context(ThreadPoolExecutor(max_workers=slots()))
        ready = [
            downloads.submit(prepare, lab, r, toolchains[_version(r)], room / f"{i}-{r.name}", deadline=deadline)
            for i, r in enumerate(jobs)
        ]
        made: dict[str, Future[Artifact]] = {}
        for i, recipe in enumerate(jobs):
            job = Job(recipe=recipe, index=i + 1, of=len(jobs))
            needed = [made[tool.key()] for tool in recipe.tools]
            made[recipe.key()] = compiles.submit(_obtain, lab, job, ready[i], needed, deadline)
        return _gather([made[recipe.key()] for recipe in missing])


def _make_there(lab: Lab, missing: Sequence[Recipe], shop: Workshop, room: Path) -> list[Artifact]:
    """The same in a machine, one after the other: its CPUs are few, and Go uses all of them by itself."""
    jobs = _jobs(missing)
    if not jobs:
        return []
    deadline = Deadline.after(BUILD_THERE_S, lab.cancel)
    for version in {_version(recipe) for recipe in jobs}:
        shop.need_go(version, deadline)
    toolchains = _toolchains(lab, jobs, deadline)
    with ThreadPoolExecutor(max_workers=DOWNLOADS) as downloads:
        ready = [
            downloads.submit(prepare, lab, recipe, toolchains[_version(recipe)], room / f"{i}", deadline=deadline)
            for i, recipe in enumerate(jobs)
        ]
        scratches = _gather(ready)
        made: dict[str, Artifact] = {}
        tools: dict[str, str] = {}
        with carried(lab, shop, scratches, room) as at:
            for i, (recipe, scratch) in enumerate(zip(jobs, scratches, strict=True)):
                log = lab.paths.logs / f"build-{recipe.name}.log"
                bench = Bench(shop=shop, scratch=scratch, at=at, number=i, log=log)
                job = Job(recipe=recipe, index=i + 1, of=len(jobs))
                made[recipe.key()] = _obtain_there(lab, job, bench, tools, room / f"{i}.out", deadline)
                tools[recipe.name] = bench.result()
        return [made[recipe.key()] for recipe in missing]


def _obtain_there(
    lab: Lab, job: Job, bench: Bench, tools: Mapping[str, str], out: Path, deadline: Deadline
) -> Artifact:
    """A tool is made there even when the cache has it: it is in that machine that it is needed."""
    recipe = job.recipe
    with lab.bus.step(f"build:{recipe.name}", f"build {recipe.label} there", index=job.index, of=job.of) as step:
        counter = _Counter(lab, recipe.name, bench.scratch.packages)
        built = bench.compile(lab, tools, out, counter, deadline)
        artifact = replace(cache.publish(lab, built), built_now=True)
        step.say(f"{built.cold_s:.1f} s, {artifact.size_bytes / 1e6:.0f} MB")
        return artifact


def _gather(futures: Sequence[Future[V]]) -> list[V]:
    """All results, or all failures: one alone as it is, several as a group."""
    failures = [error for future in futures if (error := future.exception()) is not None]
    unlike = list({str(error): error for error in failures}.values())
    if len(unlike) == 1:
        raise unlike[0]
    if unlike:
        raise BaseExceptionGroup("several builds failed", unlike)
    return [future.result() for future in futures]


def _obtain(
    lab: Lab,
    job: Job,
    ready: Future[Scratch],
    needed: Sequence[Future[Artifact]],
    deadline: Deadline,
) -> Artifact:
    """Build one recipe unless another `lab` has just done so."""
    recipe, key = job.recipe, job.recipe.key()
    tools = {future.result().name: future.result().path for future in needed}
    with lab.bus.step(f"build:{recipe.name}", f"build {recipe.label}", index=job.index, of=job.of) as step:
        scratch = ready.result()
        with locks.hold(lab.paths.locks / f"artifact-{key[:16]}", what=recipe.label, deadline=deadline):
            found = cache.find(lab, key, recipe.name)
            if found is not None:
                step.skip("in the cache")
                return found
            with _slot(lab, deadline):
                built = _compile(lab, scratch, key, tools, deadline)
            artifact = replace(cache.publish(lab, built), built_now=True)
            step.say(f"{built.cold_s:.1f} s, {artifact.size_bytes / 1e6:.0f} MB")
            return artifact


def _compile(lab: Lab, scratch: Scratch, key: str, tools: Mapping[str, Path], deadline: Deadline) -> cache.Built:
    """Run the steps, prove the binary."""
    began = time.monotonic()
    recipe = scratch.recipe
    out = scratch.root.with_name(scratch.root.name + ".out")
    build_id = key[:16] if recipe.build_id_var else ""
    ldflags = f"-ldflags=-X={recipe.build_id_var}={build_id}" if build_id else ""
    values = {"out": str(out), "main": recipe.main, "ldflags": ldflags}
    counter = _Counter(lab, recipe.name, scratch.packages)
    for step in recipe.spec.steps:
        _step(lab, scratch, [*_gently(), *scratch.argv(step, values, tools)], counter, deadline)
    if not out.is_file():
        raise DemoError(f"{recipe.label}: its steps made no {{out}}", fix="let a build step write to {out}")
    prove(recipe, out)
    return cache.Built(
        name=recipe.name,
        key=key,
        path=out,
        build_id=build_id,
        cold_s=round(time.monotonic() - began, 1),
        inputs=recipe.inputs(),
        facts=scratch.facts(),
    )


def _step(lab: Lab, scratch: Scratch, argv: Sequence[str], counter: _Counter, deadline: Deadline) -> None:
    log = lab.paths.logs / f"build-{scratch.recipe.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    said = proc.run(argv, deadline=deadline, env=scratch.env, cwd=scratch.root, on_line=counter, log=log)
    if not said.ok:
        raise DemoError(
            f"{scratch.recipe.label} does not build (exit code {said.code})",
            fix=how_to_mend(scratch, log),
            detail=said.tail(),
            log=str(log),
        )


class _Counter:
    """Counts the packages that `go build -v` names, as progress."""

    def __init__(self, lab: Lab, name: str, total: int) -> None:
        self._lab, self._name, self._total, self._done = lab, name, total, 0

    def __call__(self, line: str) -> None:
        if line and " " not in line and ":" not in line:
            self._done += 1
            total = float(self._total) if self._total else None
            self._lab.bus.emit(Progress(name=f"build:{self._name}", done=self._done, total=total, unit="packages"))


def slots() -> int:
    """How many heavy builds may run at once on this host: one per pair of CPUs."""
    return max(1, (os.cpu_count() or 2) // 2)


@contextlib.contextmanager
def _slot(lab: Lab, deadline: Deadline) -> Iterator[None]:
    """Wait for one of the slots, which all `lab` processes of this home share."""
    with contextlib.ExitStack() as stack:
        while True:
            for i in range(slots()):
                now = Deadline.after(0, lab.cancel)
                held = locks.hold(lab.paths.locks / f"go-build-{i}", what="a build slot", deadline=now)
                try:
                    stack.enter_context(held)
                except Locked:
                    continue
                yield
                return
            if deadline.passed():
                raise LabError("no build slot became free in time", fix="run the same command again")
            deadline.sleep(0.5)


def _gently() -> list[str]:
    nice = proc.which("nice")
    return [str(nice), "-n", "5"] if nice else []


def _version(recipe: Recipe) -> str:
    return recipe.spec.toolchain
