"""Sources as people keep them, laid out in a folder, and what Go and we make of them."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import Final

from lab import forms
from lab.forms.declared import PLAIN
from lab.forms.source import gosource
from lab.forms.source.gosource import GoSource
from lab.forms.source.shelf import Shelf
from lab.model.events import Sink
from lab.model.service import Service
from lab.system import toolchain
from lab.system.wait import Deadline
from tests.support import ROOT, lab_at, test_home

LINK: Final = "-> "  # a file with this text is a link; one whose name ends in / an empty folder
MAIN: Final = "package main\n\nfunc main() { println(word) }\n"
MOD: Final = "module ex.org/svc\n\ngo 1.24\n"
LIB: Final = {"lib/go.mod": "module ex.org/lib\n\ngo 1.24\n", "lib/lib.go": 'package lib\n\nconst Word = "ok"\n'}
ASKS: Final = 'package main\n\nimport "ex.org/lib"\n\nconst word = lib.Word\n'


def embeds(pattern: str, name: str, package: str = "main") -> str:
    read = f'data, _ := files.ReadFile("{name}")\n\tword = string(data)'
    return (
        f'package {package}\n\nimport "embed"\n\n//go:embed {pattern}\nvar files embed.FS\n\nvar word = ""\n\n'
        f"func init() {{\n\t{read}\n}}\n"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A source that prints "ok": files (of a service in `svc` with go.mod and main.go, unless they say otherwise)."""

    files: dict[str, str]
    root: str = "svc"
    main: str = "."
    plain: bool = True  # Go takes it as it is


def lay(top: Path, layout: Layout) -> Service:
    """The layout's files below `top`, and the service in it."""
    for name, text in {"svc/go.mod": MOD, "svc/main.go": MAIN, **layout.files}.items():
        path = top / name
        if name in ("svc/go.mod", "svc/main.go") and name not in layout.files and "svc" in layout.files:
            continue
        if name == "svc/main.go" and name not in layout.files and "svc/cmd/it/main.go" in layout.files:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith(LINK):
            path.symlink_to(text.removeprefix(LINK))
        else:
            path.write_text(text.replace("{top}", str(top)))
    folder = top / layout.root
    return dataclasses.replace(forms.service(ROOT), root=folder, main=layout.main, build_id_var="")


def go(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The pinned Go, in a plain environment."""
    lab = lab_at(test_home())
    root = toolchain.find(lab, PLAIN.toolchain, deadline=Deadline.after(300))
    plain = toolchain.environment(lab, GOCACHE=root.build_cache(lab), **env)
    argv = [root.go, *words]
    return subprocess.run(
        argv, cwd=folder, env={**plain, "PWD": str(folder)}, capture_output=True, text=True, timeout=120, check=False
    )


def read(service: Service, top: Path, *, copy: bool = True, sink: Sink | None = None) -> GoSource:
    """The source as a build reads it; the copy lies below `top`."""
    lab = lab_at(test_home())
    if sink is not None:
        lab.bus.add(sink)
    found = toolchain.find(lab, PLAIN.toolchain, deadline=Deadline.after(300))
    place = top / f"read-{sum(1 for _ in top.glob('read-*'))}"
    shelf = Shelf(place / "copies") if copy else Shelf()
    return gosource.read(lab, found, service, "amd64", shelf, place / "asked")


def said(binary: Path) -> str:
    return subprocess.run([binary], capture_output=True, text=True, check=True, timeout=20).stderr.strip()
