"""Builds the artifacts of forms: uses the cache, refuses forms that do not match the service, builds the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from lab.forms import cache, fit, making
from lab.forms.build_machine import BuildMachine
from lab.forms.declared import artifact_of
from lab.forms.recipe import HOST, Recipe
from lab.forms.source.shelf import Shelf
from lab.forms.wanted import BUILD_S, HELPERS, recipes_for, scratch_room, tell_if_edited
from lab.model.errors import LabError, raise_all
from lab.model.events import Notice
from lab.model.form import Artifact, Form
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.model.own import Own
from lab.model.service import Service
from lab.system.wait import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result: binaries by form name and by helper name, and the errors of the other forms."""

    artifacts: dict[str, Artifact]
    failed: dict[str, LabError] = field(default_factory=dict)


def build(
    lab: Lab, forms: Sequence[Form], service: Service, *, arch: Arch, machine: BuildMachine | None = None
) -> dict[str, Artifact]:
    """Every binary that these forms need: as `attempt`, but each form must succeed.

    Raises the error of `attempt`, or several as an ExceptionGroup.
    """
    made = attempt(lab, forms, service, arch=arch, machine=machine)
    raise_all(made.failed.values(), "several builds failed")
    return made.artifacts


def attempt(
    lab: Lab, forms: Sequence[Form], service: Service, *, arch: Arch, machine: BuildMachine | None = None
) -> Outcome:
    """Every binary that can be built; a form that does not match the service or fails to build does not stop others.

    Compiles on this host or in `machine` what is not in the cache. Safe with another `lab` that builds the same. A
    form's failure is a DemoError (refused, does not build, not woven), PreconditionError or TransientError (download).
    Raises Cancelled, and errors that affect every form.
    """
    began = time.monotonic()
    place = HOST if machine is None else machine.place(Deadline.after(BUILD_S, lab.cancel))
    with scratch_room(lab) as room:
        wanted = recipes_for(lab, forms, service, arch, place, Shelf(), room / "asked")
        failed = _refused(lab, forms, wanted)
        left = [form for form in forms if form.name not in failed]
        if failed:
            wanted = {name: recipe for name, recipe in wanted.items() if name in _parts(left)} if left else {}
        found = _find(lab, wanted)
        if len(found) < len(wanted):  # read again with a copy: an edit meanwhile applies to every form or to none
            wanted = recipes_for(lab, left, service, arch, place, Shelf(room / "read"), room / "asked-to-copy")
            found = _find(lab, wanted, {artifact.key: artifact for artifact in found.values()})
        warm_s = time.monotonic() - began
        out = {name: replace(artifact, warm_s=warm_s) for name, artifact in found.items()}
        made = making.make(lab, [recipe for name, recipe in wanted.items() if name not in out], machine, room)
        if made:
            tell_if_edited(lab, left, service, arch, wanted, room / "asked-again")
    out |= {name: result for name, result in made.items() if isinstance(result, Artifact)}
    errors = {name: result for name, result in made.items() if isinstance(result, LabError)}
    raise_all((errors[name] for name in HELPERS if name in errors), "several builds failed")
    for form in left:
        if broken := [errors[part] for part in _parts([form]) if part in errors]:
            failed[form.name] = broken[0]
    owned = {form.name: _with_changes(lab, form, wanted, out) for form in forms if form.name not in failed}
    helpers = {name: out[name] for name, recipe in wanted.items() if not recipe.keep_symbols and name in out}
    return Outcome(artifacts=owned | helpers, failed={f.name: failed[f.name] for f in forms if f.name in failed})


def _parts(forms: Sequence[Form]) -> list[str]:
    """The names of the artifacts of these forms, common helpers last."""
    agents = [form.agent.artifact for form in forms if form.agent]
    return [*dict.fromkeys((*(artifact_of(form) for form in forms), *agents, *HELPERS))]


def _find(lab: Lab, wanted: Mapping[str, Recipe], known: Mapping[str, Artifact] | None = None) -> dict[str, Artifact]:
    """The cached artifacts, by name; those in `known` (by key) were just checked."""

    def look(recipe: Recipe) -> Artifact | None:
        return (known or {}).get(recipe.key()) or cache.find(lab, recipe.key(), recipe.name)

    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as hashing:
        found = zip(wanted, hashing.map(look, wanted.values()), strict=True)
        return {name: artifact for name, artifact in found if artifact is not None}


def _refused(lab: Lab, forms: Sequence[Form], wanted: Mapping[str, Recipe]) -> dict[str, LabError]:
    """Forms that cannot work with this service, found before a build that takes minutes."""
    found: dict[str, LabError] = {}
    for form in forms:
        error = fit.refusal(form, wanted[artifact_of(form)].own or Own())
        if error is not None:
            found[form.name] = error
    for form in forms:
        for line in fit.beside(form, wanted[artifact_of(form)].own or Own()) if form.name not in found else ():
            lab.bus.emit(Notice(level="warning", text=f"form {form.name}: {line.what}"))
    for refused in found.values() if len(found) < len(forms) else ():  # otherwise it is the command's error
        lab.bus.emit(Notice(level="warning", text=f"{refused.message}; building the other forms"))
    return found


def _with_changes(lab: Lab, form: Form, wanted: Mapping[str, Recipe], made: Mapping[str, Artifact]) -> Artifact:
    """A form's artifact with all its changes, which are emitted."""
    recipe, artifact = wanted[artifact_of(form)], made[artifact_of(form)]
    own = recipe.own or Own()
    changes = (*fit.copied(own, recipe.overlays), *artifact.changes)
    if not form.of and changes:
        lab.bus.emit(Notice(level="info", text=f"form {form.name} changes the service: {fit.told(changes)}"))
    return replace(artifact, changes=(*own.lowered, *changes, *fit.beside(form, own)))
