"""The modules of a build that lie in folders, as Go's own tools read go.mod and go.work.

A workspace is written out as one go.mod: forms add modules to it, which Go does not allow across a workspace. What
go.work uses becomes a requirement with a replacement, and its replace lines come before those of its modules, as in Go.
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

BESIDE: Final = "_beside"  # no package pattern matches a folder that begins so (`go help packages`)
MAJOR: Final = re.compile(r"[./]v(\d+)(?:-unstable)?$")
NUMBERS: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A line that asks for a newer Go than ours, in the file `place`: `what` is "go" or "toolchain"."""

    place: str
    what: str
    before: str
    after: str  # "" when the line is left out

    @property
    def whose(self) -> str:
        """The folder of that file, or "module@version"."""
        return self.place.removesuffix("go.mod").rstrip("/\\")

    def __str__(self) -> str:
        change = f"lowered from {self.before} to {self.after}" if self.after else f"{self.before} left out"
        return f"{self.what} line of {self.place} {change}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A module in a folder, beside the one that is built. `old`: "path" or "path@version", as replace lines say it."""

    old: str
    folder: Path
    go: str = ""  # what its go line is lowered to; "": it stays
    text: str = ""  # the go.mod that it is to have, where it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleLayout:
    """`top` holds the go.mod of the package `main`; `edits` make it the only one, once each module has a folder."""

    top: Path
    main: str
    go: str
    beside: tuple[Beside, ...] = ()
    edits: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()  # replacements whose folder is not there
    sums: tuple[Path, ...] = ()  # go.sum files whose lines count
    lowered: tuple[Lowered, ...] = ()
    work: Path | None = None  # the go.work that counts
    boundaries: tuple[str, ...] = ()  # go.mod files that end a module in `beside`: another begins there

    def write(self, go: Go, target: Path, where: Callable[[int, Beside], str], *, final: bool) -> None:
        """The one go.mod, with each folder as `where` puts it; the `final` one does without what is not there."""
        shutil.copyfile(self.top / "go.mod", target)
        target.chmod(0o600)
        edits = [f"-go={self.go}", "-toolchain=none", *self.edits]
        edits += [f"-dropreplace={old}" for old in self.drops] if final else []
        edits += [f"-replace={each.old}={where(at, each)}" for at, each in enumerate(self.beside)]
        go.text(["mod", "edit", *edits, str(target)], target.parent, str(self.top / "go.mod"))


def layout(go: Go, start: Path, main: str) -> ModuleLayout:
    """How the package `main`, as called from the folder `start`, is built.

    Raises ConfigError (no go.mod), DemoError (a file that Go does not read, a go line of a newer language).
    """
    aim = Path(os.path.normpath(start / main))
    top = next((each for each in (aim, *aim.parents, start) if regular.present(each / "go.mod")), None)
    if top is None:
        raise ConfigError(f"{start} holds no go.mod", fix=f"run `go mod init` in {start}")
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
    """go.mod files by `go mod edit -json`, each once; notes go lines that are newer than this Go."""

    def __init__(self, go: Go) -> None:
        self.go = go
        self.ours = go.toolchain.version.removeprefix("go")
        self.lowered: list[Lowered] = []
        self._read: dict[Path, dict[str, Any]] = {}

    def module(self, folder: Path) -> dict[str, Any]:
        if folder not in self._read:
            words = ["mod", "edit", "-json", str(folder / "go.mod")]
            doc = self.go.document(words, folder, str(folder / "go.mod"))
            if not (doc.get("Module") or {}).get("Path"):  # an empty path is what Go prints without the line
                raise DemoError(f"{folder / 'go.mod'} has no module line", fix=f"run `go mod init` in {folder}")
            self._read[folder] = doc
        return self._read[folder]

    def go_line(self, file: Path, doc: dict[str, Any]) -> str:
        """The Go that this file may ask for here. Raises DemoError for a newer language, at its place."""
        wanted, chosen = str(doc.get("Go") or ""), str(doc.get("Toolchain") or "")
        if newer(chosen.removeprefix("go"), self.ours):
            self.lowered.append(Lowered(place=str(file), what="toolchain", before=chosen, after=""))
        if not newer(wanted, self.ours):
            return wanted or "1.16"  # what Go takes a file without the line for
        if language(wanted) != language(self.ours):
            line = line_of(file, "go", wanted)
            raise DemoError(
                f"{file}:{line}: it asks for Go {wanted}, forms are built by {self.ours}",
                fix=f"lower the go line of go.mod to {'.'.join(map(str, language(self.ours)))}",
            )
        self.lowered.append(Lowered(place=str(file), what="go", before=wanted, after=self.ours))
        return self.ours


def newer(wanted: str, ours: str) -> bool:
    """Whether Go `wanted` ("1.26.8", "1.27rc1") comes after `ours`."""
    return _order(wanted) > _order(ours)


def language(version: str) -> tuple[int, int]:
    """The (major, minor) that decide what source means."""
    return _order(version)[:2]


def _order(version: str) -> tuple[int, int, int]:
    found = NUMBERS.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A go.work that names the module: the folders it uses, its replace lines, its checksums."""

    file: Path | None = None
    used: tuple[Path, ...] = ()
    replaces: tuple[dict[str, Any], ...] = ()
    sums: tuple[Path, ...] = ()


def _workspace(go: Go, start: Path, reader: _Reader, top: Path) -> _Work:
    """Go takes the nearest go.work; where it does not name the module it is none of this build's."""
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
    """What go.mod, go.work and the go.mod files it uses lead to."""

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
                continue  # Go ignores a replacement of what the workspace itself holds
            if to.get("Version"):
                edits.append(f"-replace={old}={to['Path']}@{to['Version']}")
                continue
            place = Path(os.path.normpath(folder / to["Path"]))
            if regular.present(place / "go.mod"):
                named[old] = self._beside(old, place)
            else:
                edits.append(f"-replace={old}={place}")  # Go says what is wrong with it, when it is needed
                drops.append(old)
        for path, place in workspace.items():
            named[path] = self._beside(path, place)
        self.beside = tuple(named[old] for old in sorted(named))
        self.edits, self.drops = tuple(edits), tuple(drops)

    def _beside(self, old: str, place: Path) -> Beside:
        """What it asks for is no matter unless it is built: then Go itself says so."""
        try:
            doc = self._reader.module(place)
            allowed = self._reader.go_line(place / "go.mod", doc)
        except DemoError:
            return Beside(old=old, folder=place)
        return Beside(old=old, folder=place, go=allowed if newer(str(doc.get("Go") or ""), allowed) else "")

    def _replacements(self, top: Path, own: dict[str, Any], work: _Work) -> Iterator[tuple[str, dict[str, Any], Path]]:
        """(what is replaced, by what, where a relative folder counts from); those of go.work win."""
        seen: set[str] = set()
        for each in work.replaces:
            old = _old(each)
            seen.add(old)
            yield old, each["New"], work.file.parent if work.file else top
        files = [(top, own), *((folder, self._reader.module(folder)) for folder in work.used)]
        for folder, doc in files:
            for each in doc.get("Replace") or ():
                if each["Old"]["Path"] in seen or _old(each) in seen:
                    continue
                yield _old(each), each["New"], folder


def _old(each: dict[str, Any]) -> str:
    version = each["Old"].get("Version")
    return f"{each['Old']['Path']}@{version}" if version else str(each["Old"]["Path"])


def _zero(path: str) -> str:
    """The version that Go itself gives a module which only a replacement names."""
    found = MAJOR.search(path)
    return f"v{found[1] if found else 0}.0.0-00010101000000-000000000000"
