"""The copy of a source in which a form may do what it likes: overlay laid, go.mod extended, modules fetched."""

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
    packages: int = 0  # that a build compiles, the standard library included
    modules: int = 0  # compiled in, beside the service's own
    new_sums: int = 0  # checksums that neither the source nor the form brought
    folders: dict[str, str] = field(default_factory=dict)  # {module:NAME} -> its folder in the module cache
    module_dirs: frozenset[str] = frozenset()  # of every module that is compiled in or looked up
    versions: dict[str, Module] = field(default_factory=dict)  # of the modules that this form's program is made of

    def argv(self, step: Sequence[str], values: Mapping[str, str], tools: Mapping[str, Path]) -> list[str]:
        """A step's words, ready to run on this host."""
        programs = {"go": self.toolchain.go, **{name: str(path) for name, path in tools.items()}}
        return filled(step, {"goarch": self.env["GOARCH"], **self.modules_at(str), **values}, programs)

    def modules_at(self, where: Callable[[str], str]) -> dict[str, str]:
        """The placeholders {module:NAME}, with each folder as `where` puts it."""
        return {f"module:{name}": where(folder) for name, folder in self.folders.items()}

    def moved(self) -> tuple[Change, ...]:
        """Modules of the service's program that this copy has in another version."""
        own = self.recipe.own or Own()
        return fit.changes(own, {path: module for path, module in self.versions.items() if path in own.modules})

    def facts(self) -> dict[str, str]:
        """What a built artifact tells of its making."""
        return {
            "go": self.toolchain.version,
            "modules": str(self.modules),
            "packages": str(self.packages),
            "new_sums": str(self.new_sums),
            **self.recipe.remarks,
        }


def how_to_mend(scratch: BuildDir, log: Path) -> str:
    """What to do when a source does not compile. Go leaves out files that need cgo, and what they declare is missed."""
    if wants := scratch.recipe.remarks.get("cgo"):
        return f"do without C in {wants}: forms are built with cgo off"
    moved = fit.told(scratch.moved())
    return f"read {log}, correct the source or the form{f' (in which {moved})' if moved else ''}"


def filled(step: Sequence[str], values: Mapping[str, str], programs: Mapping[str, str]) -> list[str]:
    """A step's words with placeholders filled; words that come out empty are left out."""
    words = [PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in step[1:]]
    return [programs.get(step[0], step[0]), *filter(None, words)]


def prepare(lab: Lab, recipe: Recipe, toolchain: Toolchain, root: Path, *, deadline: Deadline) -> BuildDir:
    """Make the copy in `root` (which must not exist) and fetch all it needs.

    Raises DemoError (modules do not fit), TransientError (network).
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
        versions={path: own.used(each) for path, each in compiled.items()},
    )


def _temporary(root: Path) -> Path:
    """Beside the copy, so that it goes with it: a weaver leaves what it has made behind, 100 MB a build."""
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
        for name, path in _contents(overlay):  # in the copy the form's file wins
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, root / name)


def _contents(tree: Tree) -> list[tuple[str, Path]]:
    root = tree.copy()
    return [(path.relative_to(root).as_posix(), path) for path in sorted(root.rglob("*")) if path.is_file()]


def _sums_of(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()


def _merge_sums(recipe: Recipe, root: Path) -> set[str]:
    """Checksums that the form brings join the source's, so that nothing has to be trusted on first use."""
    known = _sums_of(root / "go.sum").union(*(_sums_of(path) for tree in recipe.sums for _, path in _contents(tree)))
    if recipe.sums:
        store.write_text(root / "go.sum", "".join(f"{line}\n" for line in sorted(known)))
    return known


def _extend_module(scratch: BuildDir, deadline: Deadline) -> None:
    """Add what the form asks for to go.mod, whatever else is in there."""
    module = scratch.recipe.spec.module
    if module == ModuleSpec():
        return
    edit, recipe = [scratch.toolchain.go, "mod", "edit"], scratch.recipe
    mod = json.loads(_run(scratch, [*edit, "-json"], deadline))
    _run(scratch, [*edit, *fit.edits(recipe.label, module, recipe.own or Own(), mod)], deadline)


def _resolve(scratch: BuildDir, deadline: Deadline, options: Sequence[str]) -> tuple[Sequence[Doc], dict[str, Doc]]:
    """Let go.mod name every module of the build, download them: packages that are compiled, modules looked up."""
    # A service's go.mod may change in the copy: helpers and tools build from what is committed.
    module = scratch.recipe.spec.module
    mode = "-mod=mod" if scratch.recipe.keep_symbols else "-mod=readonly"
    ask = [scratch.toolchain.go, "list", mode, *options, "-json=Module"]
    listed = [*objects(_run(scratch, [*ask, "-deps", scratch.recipe.main, *module.packages], deadline))]
    more = _run(scratch, [*ask, "-find", *module.lookups], deadline) if module.lookups else ""
    return listed, own.modules([*objects(more)])


def _unfinished(scratch: BuildDir) -> tuple[str, ...]:
    """Options to resolve a source that only the machine completes: what it will make is taken from its module so far.

    A go.mod beside the real one, without the replacements whose folders are not there yet.
    """
    other = scratch.root.with_name(scratch.root.name + ".mod")
    shutil.copy2(scratch.root / "go.mod", other)
    store.write_text(other.with_suffix(".sum"), "".join(f"{line}\n" for line in _sums_of(scratch.root / "go.sum")))
    go = scratch.toolchain.go
    said = json.loads(_run(scratch, [go, "mod", "edit", "-json", str(other)], Deadline.after(RESOLVE_S)))
    for each in said.get("Replace") or ():
        to = each["New"]
        if "Version" not in to and not (scratch.root / to["Path"]).is_dir():
            _run(
                scratch,
                [go, "mod", "edit", f"-dropreplace={each['Old']['Path']}", str(other)],
                Deadline.after(RESOLVE_S),
            )
    return ("-e", "-modfile", str(other))


def _module_folder(wanted: str, toolchain: Toolchain, env: dict[str, str], root: Path, deadline: Deadline) -> str:
    """Download a module and say where it is; outside of any module, since inside its replacement would be looked up."""
    empty = outside(root.with_name(root.name + ".empty"))
    argv = [toolchain.go, "mod", "download", "-json", wanted]
    said = proc.run(argv, deadline=deadline, env={**env, "GOFLAGS": FLAGS}, cwd=empty)  # -mod is refused there
    shutil.rmtree(empty)
    try:
        return str(json.loads(said.text())["Dir"])
    except (ValueError, KeyError) as error:
        raise refusal(f"module {wanted} could not be fetched", said.tail(), empty) from error


def _run(scratch: BuildDir, argv: Sequence[str], deadline: Deadline) -> str:
    said = proc.run(argv, deadline=deadline, env=scratch.env, cwd=scratch.root)
    if not said.ok:
        told = " ".join((Path(argv[0]).name, *argv[1:3]))
        raise refusal(f"{scratch.recipe.label}: {told} failed", said.tail(), scratch.recipe.source.origin)
    return said.text()
