"""A build as a value: every input of one binary, and their digest, which is its cache key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.forms.declared import artifact_of, helper_build
from lab.forms.source.gosource import GoSource
from lab.forms.source.shelf import Shelf, Tree
from lab.model.errors import ConfigError
from lab.model.form import BuildSpec, Form, ToolSpec
from lab.model.loading.load_form import load_form
from lab.model.machine import GOARCH, Arch
from lab.model.own import Own
from lab.model.service import Service
from lab.system import proc
from lab.system.wait import Deadline

# Raise it when the code in this folder builds or reads the same files differently.
RECIPE: Final = 2


def on_host(candidates: Sequence[str]) -> tuple[str, str]:
    """The first program of `candidates` on this host, and its version text."""
    chosen = next((name for name in candidates if proc.which(name)), candidates[0])
    proc.require_tool(chosen)
    return chosen, proc.run([chosen, "--version"], deadline=Deadline.after(20)).text().partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where build steps run: system and CPU of tools ("" = this host's), and the installed programs."""

    name: str = "host"
    goos: str = ""
    goarch: str = ""
    program: Callable[[Sequence[str]], tuple[str, str]] = on_host


HOST: Final = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The build of one binary. `label` is its name in messages; goos "" means the host's system and CPU."""

    name: str
    label: str
    source: Tree
    main: str
    spec: BuildSpec
    overlays: tuple[Tree, ...] = ()
    sums: tuple[Tree, ...] = ()
    tools: tuple[Recipe, ...] = ()
    goos: str = ""
    goarch: str = ""
    build_id_var: str = ""
    keep_symbols: bool = False  # a service: agents and the weaving check need its symbols
    programs: tuple[tuple[str, str, str], ...] = ()  # (variable, program, version text): what `uses` found
    place: str = HOST.name
    remarks: Mapping[str, str] = field(default_factory=dict)  # about the source, for the artifact; not an input
    own: Own | None = None  # the service's program without a form; derived from `source`

    def inputs(self) -> dict[str, str]:
        """Every input by name; files by the digest of the bytes that were read."""
        out = {
            "recipe": str(RECIPE),
            "main": self.main,
            "spec": _digest(repr(self.spec).encode()),
            "toolchain": self.spec.toolchain,
            "target": f"{self.goos}/{self.goarch}",
            "build_id_var": self.build_id_var,
            "source": self.source.digest,
        }
        for tree in self.overlays:
            out[f"overlay {tree.origin.name}"] = tree.digest
        for tree in self.sums:
            out[f"sums {tree.origin.name}"] = tree.digest
        for tool in self.tools:
            out[f"tool {tool.name}"] = tool.key()
        for variable, program, version in self.programs:
            out[f"program {variable}"] = f"{program}: {version}"
        if self.place != HOST.name:  # the same bytes are expected, but a comparison must know the difference
            out["place"] = self.place
        return out

    def key(self) -> str:
        """The digest of all inputs, hex."""
        return _digest(json.dumps(self.inputs(), sort_keys=True).encode())

    def build_id(self, key: str) -> str:
        """The program's id; "" when it has no variable for it."""
        return key[:16] if self.build_id_var else ""

    def ldflags(self, key: str) -> str:
        """The linker flag that sets the id; "" when it has no variable for it."""
        return f"-ldflags=-X={self.build_id_var}={self.build_id(key)}" if self.build_id_var else ""


def for_form(
    form: Form,
    service: Service,
    arch: Arch,
    place: Place = HOST,
    *,
    shelf: Shelf | None = None,
    source: GoSource | None = None,
) -> Recipe:
    """The recipe of a form with its own build; without `source` every file of the service's folder is an input.

    Raises ConfigError when one of its folders is missing.
    """
    if form.build is None:
        raise ConfigError(f"form {form.name} has no build", fix=f"use the artifact of form {form.of}")
    spec, shelf = form.build, shelf or Shelf()
    return Recipe(
        name=artifact_of(form),
        label=f"form {form.name}",
        source=source.tree if source else shelf.folder(service.root, spec.exclude),
        main=source.main if source else service.main,
        spec=spec,
        overlays=tuple(shelf.folder(_there(form, name)) for name in spec.overlay),
        sums=tuple(shelf.folder(_there(form, name)) for name in spec.sums),
        tools=tuple(_tool(form, tool, place, shelf) for tool in spec.tools),
        goos="linux",
        goarch=GOARCH[arch],
        build_id_var=service.build_id_var,
        keep_symbols=True,
        programs=_programs(spec, place),
        place=place.name,
        remarks=source.remarks() if source else {},
        own=source.own if source else None,
    )


def for_helper(folder: Path, arch: Arch, place: Place = HOST, *, shelf: Shelf | None = None) -> Recipe:
    """The recipe of a Go helper that runs in the machine (agent, sink, load)."""
    spec = helper_build(folder)
    return Recipe(
        name=folder.name,
        label=f"helper {folder.name}",
        source=(shelf or Shelf()).folder(folder, spec.exclude),
        main=".",
        spec=spec,
        goos="linux",
        goarch=GOARCH[arch],
        programs=_programs(spec, place),
        place=place.name,
    )


def _tool(form: Form, tool: ToolSpec, place: Place, shelf: Shelf) -> Recipe:
    folder, spec = _there(form, tool.module), helper_build(_there(form, tool.module))
    return Recipe(
        name=tool.name,
        label=f"tool {tool.name}",
        source=shelf.folder(folder, spec.exclude),
        main=tool.package,
        spec=spec,
        goos=place.goos,
        goarch=place.goarch,
        place=place.name,
    )


def _there(form: Form, name: str) -> Path:
    path = form.root / name
    if not path.exists():
        raise ConfigError(f"{form.root / 'form.yaml'}: {name} does not exist", fix=f"create {path}")
    return path.resolve()


def _programs(spec: BuildSpec, place: Place) -> tuple[tuple[str, str, str], ...]:
    return tuple((variable, *place.program(candidates)) for variable, candidates in spec.uses.items())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def siblings(forms: Iterable[Form]) -> dict[str, Form]:
    """The forms with a build; a form that uses another form's binary is replaced by that form."""
    out: dict[str, Form] = {}
    for form in forms:
        owner = form if not form.of else load_form(form.root.parent / form.of)
        out[owner.name] = owner
    return out
