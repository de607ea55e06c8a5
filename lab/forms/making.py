"""Builds artifacts from recipes: copies and downloads in parallel, one heavy build per two CPUs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from lab.forms import cache, fitting
from lab.forms.build_dir import BuildDir, how_to_mend, prepare
from lab.forms.build_machine import BuildMachine, GuestBuild, carried
from lab.forms.recipe import Recipe
from lab.forms.wanted import BUILD_S
from lab.model.errors import Cancelled, DemoError, LabError, Locked, TransientError
from lab.model.events import Progress
from lab.model.figures import seconds, size
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.system import locks, proc
from lab.system.toolchain import Toolchain, find
from lab.system.wait import Deadline

BUILD_THERE_S: Final = 3 * 3600.0  # in an emulated machine, compiling takes about ten times as long
DOWNLOADS: Final = 4
V = TypeVar("V")
Made = dict[str, Artifact | LabError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe to build, with its position in the displayed list."""

    recipe: Recipe
    index: int
    of: int


def _jobs(missing: Sequence[Recipe]) -> list[Recipe]:
    """Each tool once, before the recipes that use it."""
    return [*{tool.key(): tool for recipe in missing for tool in recipe.tools}.values(), *missing]


def _toolchains(lab: Lab, missing: Sequence[Recipe], deadline: Deadline) -> dict[str, Toolchain]:
    return {version: find(lab, version, deadline=deadline) for version in sorted({_version(r) for r in missing})}


def make(lab: Lab, missing: Sequence[Recipe], machine: BuildMachine | None, room: Path) -> Made:
    """Each recipe's artifact or error, by its name; `room` is a folder for copies.

    Compiles in slots, tools before the recipes that use them. Raises Cancelled, and other errors than LabError.
    """
    if not missing:
        return {}
    return _make_here(lab, missing, room) if machine is None else _make_there(lab, missing, machine, room)


def _make_here(lab: Lab, missing: Sequence[Recipe], room: Path) -> Made:
    deadline = Deadline.after(BUILD_S, lab.cancel)
    jobs = _jobs(missing)
    with contextlib.ExitStack() as stack:
        downloads = stack.enter_context(ThreadPoolExecutor(max_workers=DOWNLOADS))
        compiles = stack.enter_context(ThreadPoolExecutor(max_workers=slots()))
        ready = _prepared(lab, downloads, jobs, room, deadline)
        made: dict[str, Future[Artifact]] = {}
        for i, recipe in enumerate(jobs):
            job = Job(recipe=recipe, index=i + 1, of=len(jobs))
            needed = [made[tool.key()] for tool in recipe.tools]
            plain = [made[one.key()] for one in jobs[:i] if recipe.tools and one.keep_symbols and not one.tools]
            made[recipe.key()] = compiles.submit(_obtain, lab, job, ready[i], needed, plain, deadline)
        return _results(missing, made)


def _results(missing: Sequence[Recipe], made: Mapping[str, Future[Artifact]]) -> Made:
    out: Made = {}
    for recipe in missing:
        result = _settled(made[recipe.key()])
        out[recipe.name] = result
    return out


def _prepared(
    lab: Lab, pool: ThreadPoolExecutor, jobs: Sequence[Recipe], room: Path, deadline: Deadline
) -> list[Future[BuildDir]]:
    toolchains = _toolchains(lab, jobs, deadline)
    return [
        pool.submit(prepare, lab, recipe, toolchains[_version(recipe)], room / f"{at}-{recipe.name}", deadline=deadline)
        for at, recipe in enumerate(jobs)
    ]


def _settled(future: Future[V]) -> V | LabError:
    """A result or its LabError; Cancelled and other errors are raised."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, LabError) and not isinstance(error, Cancelled):
        return error
    raise error


def _make_there(lab: Lab, missing: Sequence[Recipe], machine: BuildMachine, room: Path) -> Made:
    """The same in a machine, one after the other: it has few CPUs, and Go uses all of them."""
    jobs = _jobs(missing)
    deadline = Deadline.after(BUILD_THERE_S, lab.cancel)
    for version in {_version(recipe) for recipe in jobs}:
        machine.need_go(version, deadline)
    with ThreadPoolExecutor(max_workers=DOWNLOADS) as downloads:
        ready = _prepared(lab, downloads, jobs, room, deadline)
        done: dict[str, Artifact | LabError] = {}
        scratches: list[BuildDir] = []
        for recipe, future in zip(jobs, ready, strict=True):
            scratch = _settled(future)
            if isinstance(scratch, LabError):
                done[recipe.key()] = scratch
            else:
                scratches.append(scratch)
        tools: dict[str, str] = {}
        with carried(lab, machine, scratches, room) as at:
            for i, scratch in enumerate(scratches):
                recipe = scratch.recipe
                broken = [done[tool.key()] for tool in recipe.tools if isinstance(done[tool.key()], LabError)]
                if broken:
                    done[recipe.key()] = broken[0]
                    continue
                log = lab.paths.logs / f"build-{recipe.name}.log"
                build = GuestBuild(machine=machine, scratch=scratch, at=at, number=i, log=log)
                job = Job(recipe=recipe, index=i + 1, of=len(scratches))
                try:
                    done[recipe.key()] = _obtain_there(lab, job, build, tools, room / f"{i}.out", deadline)
                except Cancelled:
                    raise
                except LabError as error:
                    done[recipe.key()] = error
                tools[recipe.name] = build.result()
        return {recipe.name: done[recipe.key()] for recipe in missing}


def _obtain_there(
    lab: Lab, job: Job, build: GuestBuild, tools: Mapping[str, str], out: Path, deadline: Deadline
) -> Artifact:
    """Build it in the machine; a tool also when the cache has it, since the machine needs it."""
    recipe = job.recipe
    title = f"build {recipe.label} in the machine"
    with lab.bus.step(f"build:{recipe.name}", title, index=job.index, of=job.of) as step:
        counter = _Counter(lab, recipe.name, build.scratch.packages)
        built = build.compile(lab, tools, out, counter, deadline)
        artifact = replace(cache.publish(lab, built), built_now=True)
        step.say(f"{seconds(built.cold_s)}, {size(artifact.size_bytes)}")
        return artifact


def _obtain(
    lab: Lab,
    job: Job,
    ready: Future[BuildDir],
    needed: Sequence[Future[Artifact]],
    plain: Sequence[Future[Artifact]],
    deadline: Deadline,
) -> Artifact:
    """Build one recipe unless another `lab` has just done so. Not woven if a build in `plain` has failed."""
    recipe, key = job.recipe, job.recipe.key()
    for one in plain:
        if one.done() and (error := one.exception()) is not None:
            raise error
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
            step.say(f"{seconds(built.cold_s)}, {size(artifact.size_bytes)}")
            return artifact


def _compile(lab: Lab, scratch: BuildDir, key: str, tools: Mapping[str, Path], deadline: Deadline) -> cache.Built:
    """Run the steps and check the binary."""
    began = time.monotonic()
    recipe = scratch.recipe
    out = scratch.root.with_name(scratch.root.name + ".out")
    values = {"out": str(out), "main": recipe.main, "ldflags": recipe.ldflags(key)}
    counter = _Counter(lab, recipe.name, scratch.packages)
    fitting.compiles(lab, scratch, deadline)
    for step in recipe.spec.steps:
        _step(lab, scratch, [*_gently(), *scratch.argv(step, values, tools)], counter, deadline)
    if not out.is_file():
        raise DemoError(f"{recipe.label}: its build steps did not write {{out}}", fix="let a build step write {out}")
    return fitting.proven(lab, scratch, key, out, began, deadline)


def _step(lab: Lab, scratch: BuildDir, argv: Sequence[str], counter: _Counter, deadline: Deadline) -> None:
    log = lab.paths.logs / f"build-{scratch.recipe.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    result = proc.run(argv, deadline=deadline, env=scratch.env, cwd=scratch.root, on_line=counter, log=log)
    if not result.ok:
        raise DemoError(
            f"{scratch.recipe.label} does not build (exit code {result.code})",
            fix=how_to_mend(scratch, log),
            detail=result.tail(),
            log=str(log),
        )


class _Counter:
    """Emits the number of packages that `go build -v` prints, as progress."""

    def __init__(self, lab: Lab, name: str, total: int) -> None:
        self._lab, self._name, self._total, self._done = lab, name, total, 0

    def __call__(self, line: str) -> None:
        if line and " " not in line and ":" not in line:
            self._done += 1
            total = float(self._total) if self._total else None
            self._lab.bus.emit(Progress(name=f"build:{self._name}", done=self._done, total=total, unit="packages"))


def slots() -> int:
    """The number of concurrent heavy builds on this host: one per two CPUs."""
    return max(1, (os.cpu_count() or 2) // 2)


@contextlib.contextmanager
def _slot(lab: Lab, deadline: Deadline) -> Iterator[None]:
    """Wait for a build slot; all `lab` processes of this home share them."""
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
                raise TransientError("timed out waiting for a build slot", fix="run the command again")
            deadline.sleep(0.5)


def _gently() -> list[str]:
    nice = proc.which("nice")
    return [str(nice), "-n", "5"] if nice else []


def _version(recipe: Recipe) -> str:
    return recipe.spec.toolchain
