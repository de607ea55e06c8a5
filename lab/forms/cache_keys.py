"""The cache keys of a demo's binaries, without building any: for a cache that is shared between machines."""

from __future__ import annotations

from collections.abc import Sequence

from lab.forms import recipe as recipes
from lab.forms.declared import HELPERS_DIR
from lab.forms.source.shelf import Shelf
from lab.forms.wanted import HELPERS, read_sources, scratch_room
from lab.model.form import Form
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.model.service import Service
from lab.system import resources


def keys(lab: Lab, forms: Sequence[Form], service: Service, arch: Arch) -> dict[str, str]:
    """Label -> artifact key of a build on this host: forms, weaving tools, helpers.

    Go lists the service's source, which may download its modules. Raises ConfigError (a folder is missing),
    PreconditionError (a program that is part of a key is not installed), DemoError (Go rejects the source).
    """
    owners, shelf = recipes.siblings(forms).values(), Shelf()
    with scratch_room(lab) as room:
        sources = read_sources(lab, owners, service, arch, shelf, room)
    made = [
        recipes.for_form(form, service, arch, shelf=shelf, source=sources[form.build.toolchain])
        for form in owners
        if form.build
    ]
    agents = sorted({form.agent.artifact for form in forms if form.agent})
    helpers = [recipes.for_helper(resources.root() / HELPERS_DIR / name, arch) for name in (*agents, *HELPERS)]
    tools = [tool for recipe in made for tool in recipe.tools]
    return {recipe.label: recipe.key() for recipe in (*made, *tools, *helpers)}
