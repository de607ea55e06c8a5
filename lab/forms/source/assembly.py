"""Files that assembly includes, and their places in the copy of a source (go.dev/doc/asm)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.model.errors import DemoError
from lab.model.regular import content

INCLUDE: Final = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"', re.MULTILINE)


def included(base: Path, within: str, names: Sequence[str], homes: Mapping[Path, str]) -> dict[str, Path]:
    """The existing files that the assembly files `names` in the folder `base` include, by their names in the copy.

    `within` is the place of `base` in the copy; `homes` maps folders of modules to their places in the copy.
    Raises DemoError when an include line would have another target in the copy: the file is outside the module.
    """
    out: dict[str, Path] = {}
    todo, visited = list(names), set(names)
    while todo:
        one = base / todo.pop()
        text = content(one) if one.is_file() else b""
        for found in INCLUDE.finditer(text):
            name = found[1].decode("utf-8", "surrogateescape")
            if name in visited or not (base / name).is_file():  # one of Go's headers, or missing, which Go reports
                continue
            path, place = Path(os.path.normpath(base / name)), os.path.normpath(f"{within}{name}").replace(os.sep, "/")
            places = {
                f"{at}{path.relative_to(top).as_posix()}" for top, at in homes.items() if path.is_relative_to(top)
            }
            absolute = Path(name).is_absolute()
            if absolute or place not in places:
                line = text.count(b"\n", 0, found.start()) + 1
                why = "by an absolute path" if absolute else "outside the module"
                raise DemoError(
                    f"{os.path.normpath(one)}:{line} includes {path}, {why}",
                    fix=f"keep {path.name} in the module and include it by a relative path",
                )
            visited.add(name)
            todo.append(name)
            out[place] = base / name
    return out
