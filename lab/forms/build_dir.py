"""The copy of a source that a form may change: adds its overlay, extends go.mod, fetches modules."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lab.forms import fit
from lab.forms.recipe import HOST, Recipe
from lab.forms.source import own
from lab.forms.source.goask import objects, outside, refusal
from lab.forms.source.own import Doc
from lab.forms.source.shelf import Tree
from lab.model.form import ModuleSpec
from lab.model.lab import Lab
from lab.model.own import Change, Module, Own
from lab.system import proc, store
from lab.system.toolchain import Toolchain, environment, host_target
from lab.system.wait import Deadline

RESOLVE_S: Final = 900.0
FLAGS: Final = "-trimpath -buildvcs=false"
PLACEHOLDER: Final = re.compile(r"\{([\w:]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDir:
    """A copy, the Go it is built with and its environment."""

    recipe: Recipe
    toolchain: Toolchain
    root: Path
    env: dict[str, str]
    packages: int = 0  # compiled by the build, including the standard library
    modules: int = 0  # compiled in, without the service's own
    new_sums: int = 0  # checksums in neither the source nor the form
    folders: dict[str, str] = field(default_factory=dict)  # {module:NAME} -> its folder in the module cache
    module_dirs: frozenset[str] = frozenset()  # of all compiled and looked up modules
    versions: dict[str, Module] = field(default_factory=dict)  # of the modules in this form's program
    made_by: dict[str, str] = field(default_factory=dict)  # what instruments: looked up or named modules, by version

    def argv(self, step: Sequence[str], values: Mapping[str, str], tools: Mapping[str, Path]) -> list[str]:
        """A step's command line for this host."""
        programs = {"go": self.toolchain.go, **{name: str(path) for name, path in tools.items()}}
        return filled(step, {"goarch": self.env["GOARCH"], **self.modules_at(str), **values}, programs)

    def modules_at(self, where: Callable[[str], str]) -> dict[str, str]:
        """The placeholders {module:NAME}, with each folder mapped by `where`."""
        return {f"module:{name}": where(folder) for name, folder in self.folders.items()}

    def moved(self) -> tuple[Change, ...]:
        """Modules of the service's program that have another version in this copy."""
        own = self.recipe.own or Own()
        return fit.changes(own, {path: module for path, module in self.versions.items() if path in own.modules})

    def facts(self) -> dict[str, str]:
        """Facts about the build that the artifact reports."""
        return {
            "go": self.toolchain.version,
            "modules": str(self.modules),
            "packages": str(self.packages),
            "new_sums": str(self.new_sums),
            **self.recipe.remarks,
        }


def how_to_mend(scratch: BuildDir, log: Path) -> str:
    """The fix for a source that does not compile. Go skips files that need cgo, so their declarations are missing."""
    if wants := scratch.recipe.remarks.get("cgo"):
        return f"remove the need for cgo in {wants}: forms are built with cgo off"
    moved = fit.told(scratch.moved())
    return f"read {log}, then correct the source or the form{f' (changed modules: {moved})' if moved else ''}"


def filled(step: Sequence[str], values: Mapping[str, str], programs: Mapping[str, str]) -> list[str]:
    """A step's command line with placeholders filled; empty words are left out."""
    words = [PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in step[1:]]
    return [programs.get(step[0], step[0]), *filter(None, words)]


def prepare(lab: Lab, recipe: Recipe, toolchain: Toolchain, root: Path, *, deadline: Deadline) -> BuildDir:
    """Create the copy in `root` (which must not exist) and fetch its modules.

    Raises DemoError (modules do not match), TransientError (network).
    """
    _copy(recipe, root)
    env = _environment(lab, recipe, toolchain, _temporary(root))
    deadline = deadline.sooner(RESOLVE_S)
    sums = _merge_sums(recipe, root)
    folders = {
        name: _module_folder(wanted, toolchain, env, root, deadline) for name, wanted in recipe.spec.modules.items()
    }
    scratch = BuildDir(recipe=recipe, toolchain=toolchain, root=root, env=env, folders=folders)
    here = recipe.place == HOST.name
    for step in recipe.spec.before if here else ():
        _run(scratch, scratch.argv(step, {}, {}), deadline)
    _extend_module(scratch, deadline)
    listed, looked = _resolve(scratch, deadline, () if here or not recipe.spec.before else _unfinished(scratch))
    compiled = own.modules(listed)
    return replace(
        scratch,
        packages=len(listed),
        modules=len(compiled | looked),
        new_sums=len(_sums_of(root / "go.sum") - sums),
        module_dirs=frozenset(own.folders(compiled | looked)) | frozenset(folders.values()),
        versions={path: own.used(module) for path, module in compiled.items()},
        made_by={
            **{path: own.used(module).used for path, module in looked.items()},
            **dict(named.split("@", 1) for named in recipe.spec.modules.values() if "@v" in named),  # not @latest
        },
    )


def _temporary(root: Path) -> Path:
    """Next to the copy, so that it is removed with it: a weaver leaves 100 MB of files per build."""
    place = root.with_name(root.name + ".tmp")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def _environment(lab: Lab, recipe: Recipe, toolchain: Toolchain, temporary: Path) -> dict[str, str]:
    system, cpu = (recipe.goos, recipe.goarch) if recipe.goos else host_target()
    env = environment(
        lab,
        GOOS=system,
        GOARCH=cpu,
        GOCACHE=toolchain.build_cache(lab, "-".join(tool.name for tool in recipe.tools) or "plain"),
        GOFLAGS=f"-mod=readonly {FLAGS}",
        **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary)),
        **{variable: program for variable, program, _ in recipe.programs},
        **recipe.spec.env,
    )
    return {**env, "PATH": os.pathsep.join((str(toolchain.root / "bin"), env.get("PATH", "")))}


def _copy(recipe: Recipe, root: Path) -> None:
    shutil.copytree(recipe.source.copy(), root)
    for overlay in recipe.overlays:
        for name, path in _contents(overlay):  # the form's file replaces the source's
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, root / name)


def _contents(tree: Tree) -> list[tuple[str, Path]]:
    root = tree.copy()
    return [(path.relative_to(root).as_posix(), path) for path in sorted(root.rglob("*")) if path.is_file()]


def _sums_of(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()


def _merge_sums(recipe: Recipe, root: Path) -> set[str]:
    """Merge the form's checksums with the source's, so that no module is trusted on first use."""
    known = _sums_of(root / "go.sum").union(*(_sums_of(path) for tree in recipe.sums for _, path in _contents(tree)))
    if recipe.sums:
        store.write_text(root / "go.sum", "".join(f"{line}\n" for line in sorted(known)))
    return known


def _extend_module(scratch: BuildDir, deadline: Deadline) -> None:
    """Add the form's requirements to go.mod."""
    module = scratch.recipe.spec.module
    if module == ModuleSpec():
        return
    edit, recipe = [scratch.toolchain.go, "mod", "edit"], scratch.recipe
    mod = json.loads(_run(scratch, [*edit, "-json"], deadline))
    _run(scratch, [*edit, *fit.edits(recipe.label, module, recipe.own or Own(), mod)], deadline)


def _resolve(scratch: BuildDir, deadline: Deadline, options: Sequence[str]) -> tuple[Sequence[Doc], dict[str, Doc]]:
    """Add every module of the build to go.mod and download it. Returns compiled packages, and looked up modules."""
    # Only a service's go.mod may change in the copy: helpers and tools use the committed one.
    module = scratch.recipe.spec.module
    mode = "-mod=mod" if scratch.recipe.keep_symbols else "-mod=readonly"
    ask = [scratch.toolchain.go, "list", mode, *options, "-json=Module"]
    listed = [*objects(_run(scratch, [*ask, "-deps", scratch.recipe.main, *module.packages], deadline))]
    more = _run(scratch, [*ask, "-find", *module.lookups], deadline) if module.lookups else ""
    return listed, own.modules([*objects(more)])


def _unfinished(scratch: BuildDir) -> tuple[str, ...]:
    """Options to resolve a source whose generated modules exist only later, in the machine.

    Writes a second go.mod, without the replacements whose folders do not exist yet.
    """
    other = scratch.root.with_name(scratch.root.name + ".mod")
    shutil.copy2(scratch.root / "go.mod", other)
    store.write_text(other.with_suffix(".sum"), "".join(f"{line}\n" for line in _sums_of(scratch.root / "go.sum")))
    go = scratch.toolchain.go
    mod = json.loads(_run(scratch, [go, "mod", "edit", "-json", str(other)], Deadline.after(RESOLVE_S)))
    for entry in mod.get("Replace") or ():
        to = entry["New"]
        if "Version" not in to and not (scratch.root / to["Path"]).is_dir():
            _run(
                scratch,
                [go, "mod", "edit", f"-dropreplace={entry['Old']['Path']}", str(other)],
                Deadline.after(RESOLVE_S),
            )
    return ("-e", "-modfile", str(other))


def _module_folder(wanted: str, toolchain: Toolchain, env: dict[str, str], root: Path, deadline: Deadline) -> str:
    """Download a module and return its folder; outside any module, where replacements would apply."""
    empty = outside(root.with_name(root.name + ".empty"))
    argv = [toolchain.go, "mod", "download", "-json", wanted]
    result = proc.run(argv, deadline=deadline, env={**env, "GOFLAGS": FLAGS}, cwd=empty)  # Go refuses -mod there
    shutil.rmtree(empty)
    try:
        return str(json.loads(result.text())["Dir"])
    except (ValueError, KeyError) as error:
        raise refusal(f"cannot fetch module {wanted}", result.tail(), empty) from error


def _run(scratch: BuildDir, argv: Sequence[str], deadline: Deadline) -> str:
    result = proc.run(argv, deadline=deadline, env=scratch.env, cwd=scratch.root)
    if not result.ok:
        command = " ".join((Path(argv[0]).name, *argv[1:3]))
        raise refusal(f"{scratch.recipe.label}: `{command}` failed", result.tail(), scratch.recipe.source.origin)
    return result.text()
