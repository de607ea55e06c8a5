"""Reader of how a binary is built: `build:` of a form.yaml, or the build.yaml of a Go helper."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.form import BuildSpec, Conflict, Hold, ModuleSpec, ToolSpec
from lab.model.loading.yamlspec import Section, read

BUILD_FILE: Final = "build.yaml"


def read_build(section: Section) -> BuildSpec:
    """Read a `build:` mapping; problems are noted in its document."""
    section.only(
        *(
            "toolchain",
            "overlay",
            "module",
            "sums",
            "tools",
            "steps",
            "env",
            "woven",
            "modules",
            "uses",
            "before",
            "exclude",
        )
    )
    module = section.section("module").only("require", "hold", "replace", "packages", "lookups")
    hold = module.section("hold")
    uses = section.section("uses")
    return BuildSpec(
        toolchain=section.text("toolchain", "go1.26.1"),
        overlay=section.strs("overlay"),
        module=ModuleSpec(
            require=module.texts("require"),
            hold={name: _hold(hold.section(name)) for name in hold.names},
            replace=module.texts("replace"),
            packages=module.strs("packages"),
            lookups=module.strs("lookups"),
        ),
        sums=section.strs("sums"),
        tools=tuple(_tool(item) for item in section.sections("tools")),
        steps=section.lists("steps"),
        env=section.texts("env"),
        woven=section.texts("woven"),
        modules=section.texts("modules"),
        uses={name: uses.strs(name) for name in uses.names},
        before=section.lists("before"),
        exclude=section.strs("exclude"),
    )


def _hold(item: Section) -> Hold:
    item.only("at_least", "otherwise").require("at_least", "otherwise")
    return Hold(at_least=item.text("at_least"), otherwise=item.text("otherwise"))


def _tool(item: Section) -> ToolSpec:
    item.only("name", "module", "package").require("name", "module", "package")
    return ToolSpec(name=item.text("name"), module=item.text("module"), package=item.text("package"))


def read_conflicts(doc: Section) -> tuple[Conflict, ...]:
    """What a service may not have: `conflicts:` of a form.yaml."""
    items = doc.sections("conflicts")
    for item in items:
        item.only("why", "imports", "forks", "replaces", "only_with", "since", "warns").require("why")
    return tuple(
        Conflict(
            why=item.text("why"),
            imports=item.strs("imports"),
            forks=item.strs("forks"),
            replaces=item.strs("replaces"),
            only_with=item.strs("only_with"),
            since=item.texts("since"),
            warns=item.flag("warns"),
        )
        for item in items
    )


def load_build(root: Path) -> BuildSpec:
    """Read build.yaml of a Go helper's folder. Raises ConfigError with every problem."""
    doc = read(root / BUILD_FILE).schema(1).only("schema", "build").require("build")
    spec = read_build(doc.section("build"))
    doc.document.finish()
    return spec
