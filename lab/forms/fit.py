"""Whether a form matches a service, and what it changes in it: from the form's data and the service's modules.

The service's choice of a module wins. A form that cannot work with it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lab.forms.source.shelf import Tree, files
from lab.model.errors import DemoError
from lab.model.form import Conflict, Form, ModuleSpec
from lab.model.own import Change, Import, Module, Own, clause
from lab.model.regular import content, present

RELEASE: Final = re.compile(r"v\d+\.\d+\.\d+[-+.\w]*")


def order(version: str) -> tuple[Any, ...]:
    """Sorts versions as Go does (semver.org, section 11)."""
    core, _, before = version.removeprefix("v").partition("+")[0].partition("-")
    numbers = tuple(int(part) if part.isdigit() else 0 for part in core.split("."))
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split("."))
    return numbers, not before, parts


def below(name: str, top: str) -> bool:
    """Whether a package or module is `top` or below it."""
    return name == top or name.startswith(f"{top}/")


def refusal(form: Form, own: Own) -> DemoError | None:
    """The error when this form cannot be built for this service, else None."""
    found = [line for conflict in form.conflicts if not conflict.warns for line in _met(conflict, own)]
    if not found:
        return None
    return DemoError(
        f"form {form.name} does not fit this service: {found[0]}",
        fix=f"leave out form {form.name}, or change that in the service",
        detail="\n".join(found) if len(found) > 1 else None,
    )


def beside(form: Form, own: Own) -> tuple[Change, ...]:
    """Conflicts of the service with this form that are only warnings: by module, version and line."""
    lines = [line for conflict in form.conflicts if conflict.warns for line in _met(conflict, own)]
    return tuple(Change(what=line, kind="beside") for line in lines)


def _met(conflict: Conflict, own: Own) -> list[str]:
    if not all(name in own.modules for name in conflict.only_with):
        return []
    imports = [one for one in own.imports if any(below(one.package, top) for top in conflict.imports)]
    replaced = {
        name: module
        for name, module in own.modules.items()
        if (module.replaced and any(below(name, top) for top in conflict.replaces))
        or (not RELEASE.fullmatch(module.used) and any(below(name, top) for top in conflict.forks))
    }
    newer = {
        name: module.used
        for name, module in own.modules.items()
        if name in conflict.since
        and RELEASE.fullmatch(module.used)
        and order(module.used) >= order(conflict.since[name])
    }
    return [
        *(f"{_imported(one, own)}; {conflict.why}" for one in imports),
        *(f"{_replaced(name, to, own)}; {conflict.why}" for name, to in replaced.items()),
        *(f"it uses {name} {used}; {conflict.why}" for name, used in newer.items()),
    ]


def _imported(one: Import, own: Own) -> str:
    module = own.modules.get(one.module)
    return f"{one.at} imports {one.package} {module.used if module else ''}".rstrip()


def _replaced(name: str, module: Module, own: Own) -> str:
    if module.used == f"./vendor/{name}":
        return f"{module.used} differs from {name} {module.version}".rstrip()
    return f"{place(own.top, name)} replaces {name} by {module.used}"


def place(root: Path, module: str) -> str:
    """The place of a module's replace line, as file:line."""
    for folder in (root, *root.resolve().parents):
        for path in (folder / "go.mod", folder / "go.work") if folder == root else (folder / "go.work",):
            if not present(path):
                continue
            for number, line in enumerate(content(path).decode("utf-8", "replace").splitlines(), 1):
                if module in line.split() and "=>" in line:
                    return f"{path.name}:{number}"
    return "go.mod"


def edits(label: str, module: ModuleSpec, own: Own, mod: Mapping[str, Any]) -> list[str]:
    """Options of `go mod edit` that add a form's requirements. `mod`: the go.mod, from `go mod edit -json`.

    Raises DemoError when the service excludes a version that the form needs, or replaces it by an older one.
    """
    chosen = {**module.require, **_held(label, module, own)}
    for each in mod.get("Exclude") or ():
        if chosen.get(each["Path"]) == each["Version"]:
            raise DemoError(
                f"{label} does not fit this service: go.mod excludes {each['Path']} {each['Version']}, which it needs",
                fix=f"leave out {label}, or remove that line of go.mod",
            )
    required = {each["Path"]: each["Version"] for each in mod.get("Require") or ()}
    required |= {each["Old"]["Path"]: "" for each in mod.get("Replace") or ()}
    out = []
    for path, version in module.require.items():
        mine = own.modules.get(path)
        if mine is None or not RELEASE.fullmatch(mine.version) or order(mine.version) < order(version):
            out.append(f"-require={path}@{version}")
        # a module that the service does not use: a tool must have the version that the form's build runs
        if mine is None and required.get(path, version) != version:
            out.append(f"-replace={path}={path}@{version}")
    out += [f"-replace={path}={path}@{chosen[path]}" for path in module.hold if path in chosen]
    out += [f"-replace={path}={to if to.startswith('.') else f'{path}@{to}'}" for path, to in module.replace.items()]
    return out


def _held(label: str, module: ModuleSpec, own: Own) -> dict[str, str]:
    """The version of each held module; none for one that the service replaces by other code.

    They are changed together: when one must be raised or added, the others are raised as needed.
    """
    mine = {path: own.modules[path] for path in module.hold if path in own.modules}
    low = {
        p: m for p, m in mine.items() if RELEASE.fullmatch(m.used) and order(m.used) < order(module.hold[p].at_least)
    }
    for path, old in low.items():
        if old.replaced:
            raise DemoError(
                f"{label} does not fit this service: {place(own.top, path)} replaces {path} by {old.used}, and the form"
                f" needs {module.hold[path].at_least} or newer",
                fix=f"leave out {label}, or replace {path} by a newer version",
            )
    raised = len(mine) < len(module.hold) or bool(low)
    out = {}
    for path, hold in module.hold.items():
        have = mine.get(path)
        if have is None:
            out[path] = hold.otherwise
        elif RELEASE.fullmatch(have.used):
            out[path] = max(have.used, hold.otherwise, key=order) if raised and not have.replaced else have.used
    return out


def changes(own: Own, modules: Mapping[str, Module]) -> tuple[Change, ...]:
    """The differences of a program built of `modules` from the service's own."""
    out = []
    for name, module in sorted(modules.items()):
        mine = own.modules.get(name)
        if mine is None:
            out.append(Change(what=name, kind="added", after=module.used))
        elif mine.used != module.used and (_released(mine.used) or _released(module.used)):  # folders' paths differ
            out.append(Change(what=name, kind=_kind(mine.used, module.used), before=mine.used, after=module.used))
    return tuple(out)


def copied(own: Own, overlays: Iterable[Tree]) -> tuple[Change, ...]:
    """The files of the source that a form's files of the same name replace in the copy."""
    names = [name for tree in overlays for name, _ in files(tree.origin) if (own.top / name).exists()]
    return tuple(Change(what=name, kind="file") for name in names)


def _released(used: str) -> bool:
    return not used.startswith((".", "/"))


def _kind(before: str, after: str) -> str:
    if not (RELEASE.fullmatch(before) and RELEASE.fullmatch(after)):
        return "replaced"
    return "raised" if order(after) > order(before) else "lowered"


def told(changed: Iterable[Change]) -> str:
    """The changes in one line; "" for none."""
    listed = list(changed)
    files = [f"the form's {one.what} replaces the service's" for one in listed if one.kind == "file"]
    versions = [
        clause(one.what, one.kind, one.before, one.after) for one in listed if one.kind not in ("file", "added")
    ]
    added = sum(one.kind == "added" for one in listed)
    more = [f"{added} module{'s' if added != 1 else ''} added"] if added else []
    return "; ".join([*files, *versions, *more])
