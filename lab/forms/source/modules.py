"""The modules of a build that are in folders, as Go's own tools read go.mod and go.work.

A workspace is written as one go.mod, since forms add modules, which Go does not allow in a workspace. Each `use` of
go.work becomes a requirement with a replacement, and its replace lines precede those of its modules, as in Go.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.forms.source.goask import Go, line_of
from lab.model import regular
from lab.model.errors import ConfigError, DemoError

BESIDE: Final = "_beside"  # package patterns do not match folders with this prefix (`go help packages`)
MAJOR: Final = re.compile(r"[./]v(\d+)(?:-unstable)?$")
NUMBERS: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A line that requires a newer Go than ours, in the file `place`: `what` is "go" or "toolchain"."""

    place: str
    what: str
    before: str
    after: str  # "" when the line is removed

    @property
    def whose(self) -> str:
        """The folder of that file, or "module@version"."""
        return self.place.removesuffix("go.mod").rstrip("/\\")

    def __str__(self) -> str:
        change = f"lowered from {self.before} to {self.after}" if self.after else f"{self.before} removed"
        return f"{self.what} line of {self.place} {change}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A module in a folder, besides the built one. `old`: "path" or "path@version", as in replace lines."""

    old: str
    folder: Path
    go: str = ""  # its lowered go line; "": unchanged
    text: str = ""  # its go.mod, when it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleLayout:
    """`top` holds the go.mod of the package `main`; `edits` make it the only one, after each module has a folder."""

    top: Path
    main: str
    go: str
    beside: tuple[Beside, ...] = ()
    edits: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()  # replacements whose folder is missing
    sums: tuple[Path, ...] = ()  # the go.sum files to merge
    lowered: tuple[Lowered, ...] = ()
    work: Path | None = None  # the go.work in use
    boundaries: tuple[str, ...] = ()  # go.mod files that end a module in `beside`, where another begins

    def write(self, go: Go, target: Path, where: Callable[[int, Beside], str], *, final: bool) -> None:
        """Write the one go.mod, with each folder mapped by `where`; the `final` one omits missing replacements."""
        shutil.copyfile(self.top / "go.mod", target)
        target.chmod(0o600)
        edits = [f"-go={self.go}", "-toolchain=none", *self.edits]
        edits += [f"-dropreplace={old}" for old in self.drops] if final else []
        edits += [f"-replace={each.old}={where(at, each)}" for at, each in enumerate(self.beside)]
        go.text(["mod", "edit", *edits, str(target)], target.parent, str(self.top / "go.mod"))


def layout(go: Go, start: Path, main: str) -> ModuleLayout:
    """The module layout of the package `main`, relative to the folder `start`.

    Raises ConfigError (no go.mod), DemoError (a file that Go cannot read, a go line of a newer language).
    """
    aim = Path(os.path.normpath(start / main))
    top = next((each for each in (aim, *aim.parents, start) if regular.present(each / "go.mod")), None)
    if top is None:
        raise ConfigError(f"{start} has no go.mod", fix=f"run `go mod init` in {start}")
    inside = aim.is_dir() or not _is_import(start, main)
    reader = _Reader(go)
    own = reader.module(top)
    work = _workspace(go, start, reader, top)
    found = _Found(top, own, work, reader)
    return ModuleLayout(
        top=top,
        main=("." if aim == top else f"./{os.path.relpath(aim, top).replace(os.sep, '/')}") if inside else main,
        go=reader.go_line(top / "go.mod", own),
        beside=found.beside,
        edits=found.edits,
        drops=found.drops,
        sums=(top / "go.sum", *work.sums),
        lowered=tuple(dict.fromkeys(reader.lowered)),
        work=work.file,
    )


def _is_import(start: Path, main: str) -> bool:
    return not main.startswith(".") and not (start / main).exists()


class _Reader:
    """Reads go.mod files by `go mod edit -json`, each once; collects go lines that are newer than this Go."""

    def __init__(self, go: Go) -> None:
        self.go = go
        self.ours = go.toolchain.version.removeprefix("go")
        self.lowered: list[Lowered] = []
        self._read: dict[Path, dict[str, Any]] = {}

    def module(self, folder: Path) -> dict[str, Any]:
        if folder not in self._read:
            words = ["mod", "edit", "-json", str(folder / "go.mod")]
            doc = self.go.document(words, folder, str(folder / "go.mod"))
            if not (doc.get("Module") or {}).get("Path"):  # Go prints an empty path without the line
                raise DemoError(f"{folder / 'go.mod'} has no module line", fix=f"run `go mod init` in {folder}")
            self._read[folder] = doc
        return self._read[folder]

    def go_line(self, file: Path, doc: dict[str, Any]) -> str:
        """The go line of this file for this build. Raises DemoError with its place for a newer language."""
        wanted, chosen = str(doc.get("Go") or ""), str(doc.get("Toolchain") or "")
        if newer(chosen.removeprefix("go"), self.ours):
            self.lowered.append(Lowered(place=str(file), what="toolchain", before=chosen, after=""))
        if not newer(wanted, self.ours):
            return wanted or "1.16"  # Go's default without the line
        if language(wanted) != language(self.ours):
            line = line_of(file, "go", wanted)
            raise DemoError(
                f"{file}:{line} requires Go {wanted}, forms are built with {self.ours}",
                fix=f"lower the go line of go.mod to {'.'.join(map(str, language(self.ours)))}",
            )
        self.lowered.append(Lowered(place=str(file), what="go", before=wanted, after=self.ours))
        return self.ours


def newer(wanted: str, ours: str) -> bool:
    """Whether Go `wanted` ("1.26.8", "1.27rc1") is later than `ours`."""
    return _order(wanted) > _order(ours)


def language(version: str) -> tuple[int, int]:
    """The (major, minor) of the Go language."""
    return _order(version)[:2]


def _order(version: str) -> tuple[int, int, int]:
    found = NUMBERS.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A go.work that uses the module: its folders, replace lines and checksums."""

    file: Path | None = None
    used: tuple[Path, ...] = ()
    replaces: tuple[dict[str, Any], ...] = ()
    sums: tuple[Path, ...] = ()


def _workspace(go: Go, start: Path, reader: _Reader, top: Path) -> _Work:
    """The nearest go.work, as Go selects it; ignored when it does not use the module."""
    file = go.text(["env", "GOWORK"], start, f"{start}").strip()
    if not file or file == "off":
        return _Work()
    if not regular.present(Path(file)):
        return _Work()
    doc = go.document(["work", "edit", "-json", file], start, file)
    folder = Path(file).parent
    used = [Path(os.path.normpath(folder / each["DiskPath"])) for each in doc.get("Use") or ()]
    if not any(_same(each, top) for each in used):
        return _Work()
    if newer(str(doc.get("Go") or ""), reader.ours):
        reader.lowered.append(Lowered(place=file, what="go", before=doc["Go"], after=reader.ours))
    others = tuple(each for each in used if not _same(each, top) and regular.present(each / "go.mod"))
    return _Work(
        file=Path(file),
        used=others,
        replaces=tuple(doc.get("Replace") or ()),
        sums=(Path(file + ".sum"), *(each / "go.sum" for each in others)),
    )


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


class _Found:
    """The modules and edits that follow from go.mod, go.work and the go.mod files that it uses."""

    def __init__(self, top: Path, own: dict[str, Any], work: _Work, reader: _Reader) -> None:
        self._reader = reader
        named: dict[str, Beside] = {}
        edits = [f"-dropreplace={_old(each)}" for each in own.get("Replace") or ()]
        drops: list[str] = []
        workspace = {reader.module(each)["Module"]["Path"]: each for each in work.used}
        required = {each["Path"] for each in own.get("Require") or ()}
        for path in sorted(workspace):
            edits += [f"-require={path}@{_zero(path)}"] if path not in required else []
            excluded = reader.module(workspace[path]).get("Exclude") or ()
            edits += [f"-exclude={each['Path']}@{each['Version']}" for each in excluded]
        for old, to, folder in self._replacements(top, own, work):
            path = old.partition("@")[0]
            if path in workspace or path == own["Module"]["Path"]:
                continue  # Go ignores a replacement of a workspace module
            if to.get("Version"):
                edits.append(f"-replace={old}={to['Path']}@{to['Version']}")
                continue
            place = Path(os.path.normpath(folder / to["Path"]))
            if regular.present(place / "go.mod"):
                named[old] = self._beside(old, place)
            else:
                edits.append(f"-replace={old}={place}")  # Go reports the error if it is needed
                drops.append(old)
        for path, place in workspace.items():
            named[path] = self._beside(path, place)
        self.beside = tuple(named[old] for old in sorted(named))
        self.edits, self.drops = tuple(edits), tuple(drops)

    def _beside(self, old: str, place: Path) -> Beside:
        """An error in its go.mod matters only if it is built; then Go reports it."""
        try:
            doc = self._reader.module(place)
            allowed = self._reader.go_line(place / "go.mod", doc)
        except DemoError:
            return Beside(old=old, folder=place)
        return Beside(old=old, folder=place, go=allowed if newer(str(doc.get("Go") or ""), allowed) else "")

    def _replacements(self, top: Path, own: dict[str, Any], work: _Work) -> Iterator[tuple[str, dict[str, Any], Path]]:
        """(old, new, base of a relative folder); those of go.work win."""
        replaced: set[str] = set()
        for each in work.replaces:
            old = _old(each)
            replaced.add(old)
            yield old, each["New"], work.file.parent if work.file else top
        files = [(top, own), *((folder, self._reader.module(folder)) for folder in work.used)]
        for folder, doc in files:
            for each in doc.get("Replace") or ():
                if each["Old"]["Path"] in replaced or _old(each) in replaced:
                    continue
                yield _old(each), each["New"], folder


def _old(each: dict[str, Any]) -> str:
    version = each["Old"].get("Version")
    return f"{each['Old']['Path']}@{version}" if version else str(each["Old"]["Path"])


def _zero(path: str) -> str:
    """The version that Go gives a module that only a replacement names."""
    found = MAJOR.search(path)
    return f"v{found[1] if found else 0}.0.0-00010101000000-000000000000"
