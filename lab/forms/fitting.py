"""Go asked whether a form fits a service, before anything is woven, and what the built program holds, after."""

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
    """Compile the service plainly with the form's modules where they differ: seconds, where weaving takes minutes.

    Raises DemoError naming the modules.
    """
    moved = scratch.moved()
    if not moved:
        return
    argv = [scratch.toolchain.go, "list", "-export", "-f", "{{with .Error}}{{.}}{{end}}", "-deps", scratch.recipe.main]
    env = {**scratch.env, "GOCACHE": scratch.toolchain.build_cache(lab)}  # a weaver's knows nothing of plain builds
    said = proc.run(argv, deadline=deadline, env=env, cwd=scratch.root)
    if not said.ok:
        raise DemoError(
            f"{scratch.recipe.label} does not fit this service, which does not compile with {fit.told(moved)}",
            fix=f"leave out {scratch.recipe.label}, or make the service compile with these versions",
            detail=said.tail(),
        )


def proven(
    lab: Lab, scratch: BuildDir, key: str, binary: Path, began: float, deadline: Deadline, **facts: str
) -> cache.Built:
    """A binary that was just made, once it is shown to be what its recipe says; `facts` are reported with it.

    Raises DemoError.
    """
    recipe = scratch.recipe
    prove(recipe, binary)
    cold_s = round(time.monotonic() - began, 1)  # what it is made of is asked by us, not by the build
    made_of = sources.read(lab, scratch.toolchain, binary, deadline)
    return cache.Built(
        name=recipe.name,
        key=key,
        path=binary,
        build_id=recipe.build_id(key),
        cold_s=cold_s,
        inputs=recipe.inputs(),
        facts=scratch.facts() | facts,
        made_of=made_of,
        changes=changes(scratch, binary, made_of.modules, deadline),
    )


def changes(scratch: BuildDir, binary: Path, modules: Collection[str] | None, deadline: Deadline) -> tuple[Change, ...]:
    """What the built program has otherwise than the service's own.

    Its build information names what its source imports; what was woven in is known by the `modules` of its code.
    """
    own = scratch.recipe.own
    if own is None:
        return ()
    argv = [scratch.toolchain.go, "version", "-m", "-json", str(binary)]
    said = proc.check(argv, deadline=deadline, error=DemoError, fix="check the form's build steps", env=scratch.env)
    woven = {path: at for path, at in scratch.versions.items() if modules is None or path in modules}
    return fit.changes(own, woven | modules_of(said.text()))
