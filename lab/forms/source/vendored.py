"""A vendor folder that Go builds from: modules in it that differ from their version, or are unavailable, are kept.

Forms add modules, which Go does not allow with a vendor folder. So a module whose vendored files are those of its
version is used by that version, and any other from the vendor folder, as a module of its own.
"""

from __future__ import annotations

import filecmp
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lab.forms.source import filenames
from lab.forms.source.goask import Go, objects, outside, refusal
from lab.forms.source.modules import Beside, ModuleLayout
from lab.model import regular

READ: Final = ("GoFiles", "SFiles", "HFiles", "SysoFiles", "EmbedFiles")
FIELDS: Final = ",".join(
    ("ImportPath", "Name", "Dir", "Standard", "DepOnly", "Module", "Error", "Imports", "CgoFiles", *READ)
)
LIST: Final = ("list", "-e", "-deps", f"-json={FIELDS}")
MODULES: Final = "vendor/modules.txt"


def unfold(go: Go, layout: ModuleLayout, room: Path, options: Sequence[str] = ()) -> ModuleLayout:
    """The layout with each module of the vendor folder, if Go builds from one, by version or by folder.

    `options` are for `go list`.
    """
    place = layout.work.parent if layout.work else layout.top
    if not regular.present(place / MODULES):
        return layout
    found = _packages(go, layout, room, options)
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for package in found:
        if Path(package["Dir"]).is_relative_to(place / "vendor"):
            groups[package["Module"]["Path"]].append(package)
    originals = _originals(go, layout, [packages[0]["Module"] for packages in groups.values()], room)
    edits, beside = [], []
    for path, packages in sorted(groups.items()):
        module, folder = packages[0]["Module"], place / "vendor" / path
        edits.append(f"-require={path}@{module['Version']}")
        if not _same(packages, folder, originals.get(path)):
            edits += [f"-dropreplace={path}", f"-dropreplace={path}@{module['Version']}"]
            line = f"\ngo {module['GoVersion']}\n" if module.get("GoVersion") else ""
            beside.append(Beside(old=path, folder=folder, text=f"module {path}\n{line}"))
    taken = {each.old for each in beside}
    others = tuple(each for each in layout.beside if each.old.partition("@")[0] not in taken)
    boundaries = tuple(str(place / "vendor" / path / "go.mod") for path in sorted(groups.keys() - taken))
    return replace(
        layout, beside=(*others, *beside), edits=(*layout.edits, *edits), boundaries=boundaries if taken else ()
    )


def _packages(go: Go, layout: ModuleLayout, room: Path, options: Sequence[str]) -> list[dict[str, Any]]:
    """The packages of the build from the vendor folder."""
    words = [*LIST, "-mod=vendor", *options]
    if layout.work is None:
        file = room / "vendor.mod"
        shutil.copyfile(layout.top / "go.mod", file)
        file.chmod(0o600)
        go.text(["mod", "edit", f"-go={layout.go}", "-toolchain=none", str(file)], room, str(layout.top / "go.mod"))
        words.append(f"-modfile={file}")
    env = {**go.env, "GOWORK": str(layout.work or "off")}
    result = replace(go, env=env).run([*words, layout.main], layout.top)
    found = filenames.restored(list(objects(result.text())), READ)
    errors = [str(package["Error"]["Err"]) for package in found if package.get("Error")]
    if not result.ok or errors:
        detail = "\n".join(errors) or result.tail()
        raise refusal(f"{layout.top}: Go cannot build {layout.main} from its vendor folder", detail, layout.top)
    return found


def _originals(go: Go, layout: ModuleLayout, modules: Sequence[Mapping[str, Any]], room: Path) -> dict[str, Path]:
    """Module path -> the folder of the files that it is vendored from, where available."""
    out, wanted = {}, {}
    for module in modules:
        other = module.get("Replace") or module
        if other.get("Version"):
            wanted[f"{other['Path']}@{other['Version']}"] = module["Path"]
    for each in layout.beside:
        out[each.old.partition("@")[0]] = each.folder
    if wanted:
        result = go.run(["mod", "download", "-json", *wanted], outside(room / "outside"))
        for got in objects(result.text()):
            name = f"{got.get('Path')}@{got.get('Version')}"
            if got.get("Dir") and name in wanted:
                out[wanted[name]] = Path(got["Dir"])
    return out


def _same(packages: Sequence[Mapping[str, Any]], folder: Path, original: Path | None) -> bool:
    """Whether each vendored file of the build is the same as in the module."""
    if original is None:
        return False
    for package in packages:
        base = Path(package["Dir"])
        for name in [name for kind in READ for name in package.get(kind) or ()]:
            other = original / base.relative_to(folder) / name
            if not other.is_file() or not filecmp.cmp(base / name, other, shallow=False):
                return False
    return True
