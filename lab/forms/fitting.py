"""Go asked whether a form fits a service, before anything is woven, and what the built program holds, after."""

from __future__ import annotations

from pathlib import Path

from lab.forms import fit, sources
from lab.forms.build_dir import BuildDir
from lab.forms.source.own import binary as modules_of
from lab.model.errors import DemoError
from lab.model.own import Change
from lab.system import proc
from lab.system.wait import Deadline


def compiles(scratch: BuildDir, deadline: Deadline) -> None:
    """Compile the service plainly with the form's modules where they differ: seconds, where weaving takes minutes.

    Raises DemoError naming the modules.
    """
    moved = scratch.moved()
    if not moved:
        return
    # a weaver's cache knows nothing of plain builds
    cache = Path(scratch.env["GOCACHE"]).with_name(f"cache-{scratch.toolchain.version}-plain")
    argv = [scratch.toolchain.go, "list", "-export", "-f", "{{with .Error}}{{.}}{{end}}", "-deps", scratch.recipe.main]
    said = proc.run(argv, deadline=deadline, env={**scratch.env, "GOCACHE": str(cache)}, cwd=scratch.root)
    if not said.ok:
        raise DemoError(
            f"{scratch.recipe.label} does not fit this service, which does not compile with {fit.told(moved)}",
            fix=f"leave out {scratch.recipe.label}, or make the service compile with these versions",
            detail=said.tail(),
        )


def changes(scratch: BuildDir, binary: Path, deadline: Deadline) -> tuple[Change, ...]:
    """What the built program has otherwise than the service's own.

    Its build information names what its source imports; what was woven in is known by its code.
    """
    own = scratch.recipe.own
    if own is None:
        return ()
    argv = [scratch.toolchain.go, "version", "-m", "-json", str(binary)]
    said = proc.check(argv, deadline=deadline, error=DemoError, fix="check the form's build steps", env=scratch.env)
    code = sources.read(binary)
    woven = {path: at for path, at in scratch.versions.items() if code is None or path in code.modules}
    return fit.changes(own, woven | modules_of(said.text()))
