"""Modules that a service's own module leads to by a folder: what its go.mod replaces, and its go.work uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lab.model.errors import ConfigError

# "replace MODULE [VERSION] => ./FOLDER", alone or in a block (go.dev/ref/mod#go-mod-file-replace)
LOCAL_REPLACE: Final = re.compile(
    r"^\s*(?:replace\s+)?(\S+)(?:\s+(v\S+))?\s+=>\s+(\.{1,2}(?:/\S*)?)\s*(?://.*)?$", re.MULTILINE
)
ANY_REPLACE: Final = re.compile(r"^\s*(?:replace\s+)?(\S+)(?:\s+v\S+)?\s+=>\s", re.MULTILINE)
# "use ./FOLDER", alone or in a block (go.dev/ref/mod#go-work-file-use)
USE: Final = re.compile(r'^\s*(?:use\s+)?("?)(\.{0,2}/\S*|\.{1,2})\1\s*(?://.*)?$', re.MULTILINE)
MODULE: Final = re.compile(r'^\s*module\s+"?([^\s"]+)"?', re.MULTILINE)


def beside(source: Path) -> dict[str, Path]:
    """Folders outside of `source` that are modules of its build: "module" or "module@version" -> folder.

    Raises ConfigError for a folder that holds no module.
    """
    top = source.resolve()
    out = {}
    for module, version, where in LOCAL_REPLACE.findall(_text(source / "go.mod")):
        folder = (source / where).resolve()
        if folder.is_relative_to(top):
            continue
        if not (folder / "go.mod").is_file():
            raise ConfigError(f"{source / 'go.mod'}: {folder} holds no go.mod", fix=f"correct replace {module}")
        out[f"{module}@{version}" if version else module] = folder
    out |= {module: folder for module, folder in _workspace(source).items() if not folder.is_relative_to(top)}
    return out


def within(source: Path) -> dict[str, str]:
    """Modules of the workspace that lie inside of `source`: module -> "./FOLDER"."""
    top = source.resolve()
    inside = {module: folder for module, folder in _workspace(source).items() if folder.is_relative_to(top)}
    return {module: f"./{folder.relative_to(top).as_posix()}" for module, folder in inside.items()}


def _workspace(source: Path) -> dict[str, Path]:
    """The other modules of the go.work that names `source`; what go.mod replaces already stays as it says."""
    top = source.resolve()
    replaced = set(ANY_REPLACE.findall(_text(source / "go.mod")))
    for folder in (top, *top.parents):
        if not (folder / "go.work").is_file():
            continue
        used = [(folder / where).resolve() for _, where in USE.findall(_text(folder / "go.work"))]
        if top not in used:
            return {}  # Go takes the nearest one, and does without it where it does not name the module
        found = {name[1]: path for path in used if path != top and (name := MODULE.search(_text(path / "go.mod")))}
        return {module: path for module, path in found.items() if module not in replaced}
    return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # a go.mod that is not there is told where the copy is made
