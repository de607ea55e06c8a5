"""Checks by Go: whether a form's modules compile with the service, before weaving, and what the binary holds, after."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from lab.forms import cache, fit, sources
from lab.forms.binary_check import prove
from lab.forms.build_dir import BuildDir
from lab.forms.source.own import binary as modules_of
from lab.model.errors import DemoError
from lab.model.lab import Lab
from lab.model.own import Change
from lab.system import proc
from lab.system.wait import Deadline


def compiles(lab: Lab, scratch: BuildDir, deadline: Deadline) -> None:
    """Compile the service without weaving, with the form's modules where they differ: that takes seconds, not minutes.

    Raises DemoError naming the modules.
    """
    moved = scratch.moved()
    if not moved:
        return
    argv = [scratch.toolchain.go, "list", "-export", "-f", "{{with .Error}}{{.}}{{end}}", "-deps", scratch.recipe.main]
    env = {**scratch.env, "GOCACHE": scratch.toolchain.build_cache(lab)}  # a weaver's cache has no plain builds
    result = proc.run(argv, deadline=deadline, env=env, cwd=scratch.root)
    if not result.ok:
        raise DemoError(
            f"{scratch.recipe.label} does not fit this service: it does not compile with {fit.told(moved)}",
            fix=f"leave out {scratch.recipe.label}, or make the service compile with these versions",
            detail=result.tail(),
        )


def proven(
    lab: Lab, scratch: BuildDir, key: str, binary: Path, began: float, deadline: Deadline, **facts: str
) -> cache.Built:
    """A new binary, after checking it against its recipe; `facts` are reported with it.

    Raises DemoError.
    """
    recipe = scratch.recipe
    prove(recipe, binary)
    cold_s = round(time.monotonic() - began, 1)  # reading its sources is not part of the build
    made_of = sources.read(lab, scratch.toolchain, binary, deadline)
    return cache.Built(
        name=recipe.name,
        key=key,
        path=binary,
        build_id=recipe.build_id(key),
        cold_s=cold_s,
        inputs=recipe.inputs(),
        facts=scratch.facts() | facts,
        made_by=scratch.made_by,
        made_of=made_of,
        changes=changes(scratch, binary, made_of.modules, deadline),
    )


def changes(scratch: BuildDir, binary: Path, modules: Collection[str] | None, deadline: Deadline) -> tuple[Change, ...]:
    """The differences of the built program from the service's own.

    Its build information has the modules that its source imports; the woven ones are in `modules`.
    """
    own = scratch.recipe.own
    if own is None:
        return ()
    argv = [scratch.toolchain.go, "version", "-m", "-json", str(binary)]
    result = proc.check(argv, deadline=deadline, error=DemoError, fix="check the form's build steps", env=scratch.env)
    woven = {path: at for path, at in scratch.versions.items() if modules is None or path in modules}
    return fit.changes(own, woven | modules_of(result.text()))
