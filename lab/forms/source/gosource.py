"""The files that a build of a service reads, as `go list -deps` lists them; no other file of its folders.

So a disk image, a lab home, results or a broken link in the source's folder are ignored, and a listed file is part of
the source whatever its name or the target of a link.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from lab.forms.source import assembly, cgo, filenames, irregular, own
from lab.forms.source.goask import NEWER_GO, Go, missing_here, objects, outside, refusal
from lab.forms.source.modules import BESIDE, Beside, Lowered, ModuleLayout, language, layout
from lab.forms.source.shelf import Entry, Shelf, Tree
from lab.forms.source.vendored import LIST, READ, unfold
from lab.model import figures
from lab.model.errors import DemoError, LabError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.own import Change, Own
from lab.model.regular import content, present
from lab.model.service import Service
from lab.system.toolchain import Toolchain, environment
from lab.system.wait import Deadline

PROFILE: Final = "default.pgo"  # read in the main package's folder, but in no field of `go list` (go.dev/doc/pgo)
FLAGS: Final = "-buildvcs=false"  # an empty variable would let the settings of `go env -w` apply
ASK_S: Final = 900.0  # modules may have to be downloaded


@dataclass(frozen=True, slots=True, kw_only=True)
class GoSource:
    """A service's source: its files as one module, and the package to build."""

    tree: Tree
    main: str
    lowered: tuple[Lowered, ...] = ()
    cgo: tuple[cgo.Need, ...] = ()
    own: Own = field(default_factory=Own)

    def remarks(self) -> dict[str, str]:
        """Facts about the source for the artifact, besides its key."""
        lines = {"lowered": "; ".join(map(str, self.lowered)), "cgo": ", ".join(each.name for each in self.cgo)}
        return {name: text for name, text in lines.items() if text}

    def notices(self) -> Iterator[tuple[Literal["info", "warning"], str]]:
        """Notices about the source before a build."""
        for name, size in self.tree.large:
            yield "info", f"{name} ({figures.size(size)}) is embedded and part of the source"
        for line in self.lowered:
            yield "info", f"in the copy: {line}"
        for need in self.cgo:
            if need.warning:
                yield "warning", need.warning


def read(lab: Lab, toolchain: Toolchain, service: Service, goarch: str, shelf: Shelf, room: Path) -> GoSource:
    """Read the service's source, hashed or copied by `shelf`; `room` is a new folder for Go's queries.

    Raises ConfigError, DemoError (Go rejects it, with Go's output), TransientError (network).
    """
    go = Go(
        toolchain=toolchain,
        env=environment(
            lab,
            GOOS="linux",
            GOARCH=goarch,
            GOFLAGS=FLAGS,
            GOWORK="",
            GOCACHE=toolchain.build_cache(lab),
            GODEBUG="embedfollowsymlinks=1",  # a link counts as its target
        ),
        deadline=Deadline.after(ASK_S, lab.cancel),
        on_line=_Downloads(lab, service.name),
    )
    room.mkdir(parents=True, mode=0o700)
    query = _query(go, service, room, lab.paths.home)
    packages = query.packages()
    kind = next((each.get("Name") for each in packages if not each.get("DepOnly")), "main")
    if kind != "main":
        message = f"{service.root}: {service.main} is package {kind}, not package main"
        raise DemoError(message, fix="set `main` in service.yaml to the folder of a Go program")
    lowered = query.lowered(packages)
    source = GoSource(
        tree=shelf.put(service.root, query.entries(packages)),
        main=query.layout.main,
        lowered=lowered,
        own=replace(own.read(packages, query.layout.top), lowered=tuple(map(_change, lowered))),
        cgo=cgo.needs(packages, query.with_cgo()),
    )
    if shelf.room is None:  # the first read of a command
        for level, text in source.notices():
            lab.bus.emit(Notice(level=level, text=text))
    return source


def _query(go: Go, service: Service, room: Path, home: Path) -> _Query:
    found = layout(go, service.root.absolute(), service.main)
    tops = [found.top, *(each.folder for each in found.beside), *([found.work.parent / "vendor"] if found.work else [])]
    pipes = frozenset(irregular.find(tops, home))
    query = _Query(go=go, layout=found, room=room, pipes=pipes)
    if pipes:
        query.overlay = irregular.overlay(pipes, room / "pipe")
    query.layout = unfold(go, found, room, query.shown())
    return query


class _Downloads:
    """Emits one notice when modules are downloaded, which may take minutes."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self._name, self._shown = lab, name, False

    def __call__(self, line: str) -> None:
        if not self._shown and line.startswith("go: downloading "):
            self._shown = True
            self._lab.bus.emit(Notice(level="info", text=f"downloading modules of {self._name} (once)"))


@dataclass(slots=True, kw_only=True)
class _Query:
    """A module layout, and the Go commands that list its packages."""

    go: Go
    layout: ModuleLayout
    room: Path
    overlay: dict[str, str] = field(default_factory=dict)
    pipes: frozenset[Path] = frozenset()  # of the overlay: not regular files, in spite of their names

    def packages(self) -> list[dict[str, Any]]:
        """Every package of the build, from `go list -e -deps`."""
        while True:
            self._write()
            result = self._list("readonly", self.go)
            found = self._found(result)
            if result.ok and not any(each.get("Error") for each in found):
                return found
            # missing lines of go.sum are added in our copy; missing requirements of go.mod are not
            if "cannot find module providing" not in result.tail() + json.dumps([each.get("Error") for each in found]):
                result = self._list("mod", self.go)
                found = self._found(result)
            if result.ok and not any(each.get("Error") for each in found):
                return found
            if not self._lower(result.tail()):
                raise self._refused(result.tail(), found)

    def with_cgo(self) -> list[dict[str, Any]]:
        """The same with cgo on."""
        go = replace(self.go, env={**self.go.env, "CGO_ENABLED": "1"})
        return self._found(self._list("mod", go))

    def _found(self, result: Any) -> list[dict[str, Any]]:
        """The packages that Go listed. Raises ConfigError for one with a pipe, socket or device."""
        packages = filenames.restored(list(objects(result.text())), READ)
        irregular.refuse(self.pipes, packages, READ)
        return packages

    def shown(self) -> list[str]:
        """Go's -overlay option, which replaces files."""
        if not self.overlay:
            return []
        (self.room / "overlay.json").write_text(json.dumps({"Replace": self.overlay}), encoding="utf-8")
        return [f"-overlay={self.room / 'overlay.json'}"]

    def _list(self, mode: str, go: Go) -> Any:
        words = [*LIST, f"-mod={mode}", f"-modfile={self.room / 'go.mod'}", *self.shown()]
        go = replace(go, env={**go.env, "GOWORK": "off"})
        return go.run([*words, self.layout.main], self.layout.top)

    def _write(self) -> None:
        """Write our go.mod, with each module's real folder, and the go.mod files with lowered go lines."""
        self.layout.write(self.go, self.room / "go.mod", lambda _, module: str(module.folder), final=False)
        (self.room / "go.sum").write_bytes(self._sums())
        for at, module in enumerate(self.layout.beside):
            if module.go or module.text:
                self.overlay[str(module.folder / "go.mod")] = str(self._own_mod(at, module))
        for at, name in enumerate(self.layout.boundaries):
            (self.room / f"{at}.boundary").write_text(f"module lab.example/boundary{at}\n", encoding="utf-8")
            self.overlay[name] = str(self.room / f"{at}.boundary")

    def _own_mod(self, at: int, module: Beside) -> Path:
        """The go.mod of a module in a folder, as the build is to see it."""
        target = self.room / f"{at}.mod"
        if module.text:
            target.write_text(module.text, encoding="utf-8")
            return target
        if not module.go:
            return module.folder / "go.mod"
        shutil.copyfile(module.folder / "go.mod", target)
        target.chmod(0o600)
        words = ["mod", "edit", f"-go={module.go}", "-toolchain=none", str(target)]
        self.go.text(words, self.room, str(module.folder / "go.mod"))
        return target

    def _sums(self) -> bytes:
        lines = {line for path in self.layout.sums if present(path) for line in content(path).splitlines()}
        return b"".join(line + b"\n" for line in sorted(lines))

    def _lower(self, output: str) -> bool:
        """Use a downloaded module that requires a later patch level from a folder, with its go line lowered."""
        newer = NEWER_GO.search(output)
        if newer is None or "@" not in newer[1] or newer[1].startswith("/") or language(newer[2]) != language(newer[3]):
            return False
        if any(each.old == newer[1] for each in self.layout.beside):
            return False
        # Go downloads and verifies the module, then refuses to unpack it
        got = self.go.run(["mod", "download", "-json", newer[1]], outside(self.room / "outside"))
        zipped = next(objects(got.text()), {}).get("Zip")
        if not zipped:
            raise refusal(f"cannot fetch module {newer[1]}", got.tail(), self.layout.top)
        with zipfile.ZipFile(zipped) as content:
            content.extractall(self.room / "unpacked")
        folder = self.room / "unpacked" / newer[1]
        line = Lowered(place=f"{newer[1]}/go.mod", what="go", before=newer[2], after=newer[3])
        self.layout = replace(
            self.layout,
            beside=(*self.layout.beside, Beside(old=newer[1], folder=folder, go=newer[3])),
            lowered=(*self.layout.lowered, line),
        )
        return True

    def _refused(self, output: str, found: Sequence[Mapping[str, Any]]) -> LabError:
        errors = [each["Error"] for each in found if each.get("Error")]
        lines = [f"{each['Pos']}: {each['Err']}" if each.get("Pos") else str(each["Err"]) for each in errors]
        detail = "\n".join(dict.fromkeys(lines)) or output
        excluded = {str(each["ImportPath"]) for each in found if "exclude all Go files" in str(each.get("Error"))}
        if excluded:
            with_cgo = [each for each in self.with_cgo() if each["ImportPath"] in excluded and each.get("CgoFiles")]
            if with_cgo:
                return cgo.refused(with_cgo[0], detail)
        modules = {each.old.partition("@")[0]: each.folder for each in self.layout.beside}
        modules |= {each["Module"]["Path"]: self.layout.top for each in found if (each.get("Module") or {}).get("Main")}
        if own_fault := missing_here(found, modules, self.layout.top):
            return own_fault
        return refusal(f"{self.layout.top}: Go cannot build {self.layout.main}", detail, self.layout.top)

    def entries(self, packages: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
        """Every file of the copy: packages, go.mod and go.sum of the service, and its modules in folders."""
        out: dict[str, Path | bytes] = {}
        modules = [package["Module"] for package in self._local(packages)]
        homes = {Path(module["Dir"]): self._home(module) for module in modules}
        for package in self._local(packages):
            base = Path(package["Dir"])
            within = self._within(package)
            for name in [name for kind in READ for name in package.get(kind) or ()]:
                out[f"{within}{name}"] = base / name
            out |= assembly.included(base, within, package.get("SFiles") or (), homes)
            if not package.get("DepOnly") and present(base / PROFILE):
                out[f"{within}{PROFILE}"] = base / PROFILE
        for at, each in enumerate(self.layout.beside):
            out[f"{self._beside(str(each.folder))}/go.mod"] = self._own_mod(at, each)
        final = self.room / "final.mod"
        self.layout.write(self.go, final, lambda _, each: f"./{self._beside(str(each.folder))}", final=True)
        out["go.mod"], out["go.sum"] = final.read_bytes(), self._sums()
        yield from out.items()

    def _local(self, packages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Packages of the service and of modules in folders; the others are fixed by version and checksum."""
        for package in packages:
            module = package.get("Module") or {}
            if module.get("Main") or (module.get("Replace") and not module["Replace"].get("Version")):
                yield package

    def _within(self, package: Mapping[str, Any]) -> str:
        """The package's folder in the copy, with a trailing slash; "" for the top."""
        module = package["Module"]
        inner = Path(package["Dir"]).relative_to(module["Dir"]).as_posix()
        return self._home(module) if inner == "." else f"{self._home(module)}{inner}/"

    def _home(self, module: Mapping[str, Any]) -> str:
        return "" if module.get("Main") else f"{self._beside(module['Replace']['Path'])}/"

    def _beside(self, folder: str) -> str:
        """The place of the module in this folder: one in the copy, however many versions it replaces."""
        return f"{BESIDE}{next(at for at, each in enumerate(self.layout.beside) if str(each.folder) == folder)}"

    def lowered(self, packages: Sequence[Mapping[str, Any]]) -> tuple[Lowered, ...]:
        """The lowered lines of modules that are built."""
        used = {str(package["Module"]["Dir"]) for package in self._local(packages)}
        used |= {each.old for each in self.layout.beside if str(each.folder) in used}
        return tuple(each for each in self.layout.lowered if each.whose in used or each.place.endswith("go.work"))


def _change(line: Lowered) -> Change:
    return Change(what=f"{line.what} line of {line.place}", kind="lowered", before=line.before, after=line.after)
