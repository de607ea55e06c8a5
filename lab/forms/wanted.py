"""The recipes that a command needs: every folder in them is read once."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.forms import recipe as recipes
from lab.forms.declared import HELPERS_DIR
from lab.forms.recipe import Place, Recipe
from lab.forms.source import gosource
from lab.forms.source.gosource import GoSource
from lab.forms.source.shelf import Shelf
from lab.model.errors import LabError
from lab.model.events import Bus, Notice
from lab.model.form import Form
from lab.model.lab import Lab
from lab.model.machine import GOARCH, Arch
from lab.model.service import Service
from lab.system import resources
from lab.system.toolchain import find
from lab.system.wait import Deadline

BUILD_S: Final = 3600.0
HELPERS: Final = ("sink", "load")


def recipes_for(
    lab: Lab, forms: Sequence[Form], service: Service, arch: Arch, place: Place, shelf: Shelf, room: Path
) -> dict[str, Recipe]:
    """Recipes by artifact name, plain ones first (a source that does not compile is not woven).

    Every folder in them is read once, by `shelf`.
    """
    out: dict[str, Recipe] = {}
    everything = recipes.siblings(forms)
    sources = read_sources(lab, everything.values(), service, arch, shelf, room)
    for form in sorted(everything.values(), key=lambda f: len(f.build.tools if f.build else ())):
        source = sources.get(form.build.toolchain) if form.build else None
        recipe = recipes.for_form(form, service, arch, place, shelf=shelf, source=source)
        out[recipe.name] = recipe
    agents = sorted({form.agent.artifact for form in forms if form.agent})
    for helper in (*agents, *HELPERS):
        out[helper] = recipes.for_helper(resources.root() / HELPERS_DIR / helper, arch, place, shelf=shelf)
    return out


def read_sources(
    lab: Lab, forms: Iterable[Form], service: Service, arch: Arch, shelf: Shelf, room: Path
) -> dict[str, GoSource]:
    """The service's source by the Go version that builds it; `room` is a folder for Go's queries."""
    versions = sorted({form.build.toolchain for form in forms if form.build})
    deadline = Deadline.after(BUILD_S, lab.cancel)
    toolchains = {version: find(lab, version, deadline=deadline) for version in versions}
    return {
        version: gosource.read(lab, toolchain, service, GOARCH[arch], shelf, room / version)
        for version, toolchain in toolchains.items()
    }


def tell_if_edited(
    lab: Lab, forms: Iterable[Form], service: Service, arch: Arch, wanted: Mapping[str, Recipe], room: Path
) -> None:
    """Warn when the source was edited during the build: the edit applies to the next command."""
    owners = recipes.siblings(forms).values()
    built = {wanted[form.name].source.digest for form in owners if form.name in wanted}
    try:
        found = read_sources(replace(lab, bus=Bus()), owners, service, arch, Shelf(), room)
        now = {source.tree.digest for source in found.values()}
    except LabError:
        now = set()  # Go rejects the edited source
    if built - now:
        text = f"{service.root} was edited during the build: the forms were built from the source before the edit"
        lab.bus.emit(Notice(level="warning", text=f"{text}; run the command again to build the edit"))


def _drop_abandoned(rooms: Path) -> None:
    """Remove copies of killed processes: those older than any build may take."""
    for room in rooms.glob("*") if rooms.is_dir() else ():
        if time.time() - room.stat().st_mtime > 2 * BUILD_S:
            shutil.rmtree(room, ignore_errors=True)


@contextlib.contextmanager
def scratch_room(lab: Lab) -> Iterator[Path]:
    """A folder for this process's copies, removed afterwards."""
    _drop_abandoned(lab.paths.build / "scratch")
    room = lab.paths.build / "scratch" / secrets.token_hex(4)
    room.mkdir(parents=True, mode=0o700)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
