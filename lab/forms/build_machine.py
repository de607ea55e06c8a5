"""Builds inside a machine: the host copies sources and downloads modules, the machine's own Go and clang do the rest.

The machine needs no network. What it compiled stays in its build cache, so the next build there is quick.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.forms import cache, fitting
from lab.forms.build_dir import FLAGS, BuildDir, filled
from lab.forms.recipe import Place, Recipe
from lab.model.errors import DemoError, PreconditionError, TransientError
from lab.model.lab import Lab
from lab.model.machine import GOARCH, Arch
from lab.remote.base import Transport
from lab.system import digests
from lab.system.toolchain import FIXED
from lab.system.wait import Deadline

GO: Final = "/usr/local/go/bin/go"
UNIT: Final = "lab-build.service"
ASK_S: Final = 60.0
NEEDED_MIB: Final = 1400  # the largest package, a translated SQLite, takes about 1,000
DISK_MIB: Final = 3000
MAX_BINARY_BYTES: Final = 1 << 30
SETTINGS: Final = {
    **FIXED,
    "GOPROXY": "off",
    "GOSUMDB": "off",  # go.sum vouches for each module; the machine can ask nobody
    "GOENV": "off",
    "GOOS": "linux",
}
COPY: Final = 'rm -rf -- "$1" && mkdir -p -- "$1/tmp" && cp -R -- "$2" "$1/src" && chmod -R u+w -- "$1/src"'
FACTS: Final = 'mkdir -p -- "$1"; grep MemTotal /proc/meminfo; df -Pk -- "$1" | tail -n 1'
FIRST: Final = 'for each; do command -v "$each" >/dev/null && { echo "$each"; exec "$each" --version; }; done; exit 1'


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildMachine:
    """A machine to build in, over a live connection. `root`: our folder there. `carry(folder, digest)` makes a folder
    of this host readable there and says where."""

    link: Transport
    root: str
    arch: Arch
    carry: Callable[[Path, str], str]

    def place(self, deadline: Deadline) -> Place:
        """How recipes name it. Raises PreconditionError when nothing can be built there."""
        self._fit(deadline)

        def program(candidates: Sequence[str]) -> tuple[str, str]:
            said = self.link.run(["sh", "-c", FIRST, "first", *candidates], deadline.sooner(ASK_S))
            if not said.ok:
                raise _lacks(candidates[0])
            name, _, version = said.text().partition("\n")
            return name.strip(), version.partition("\n")[0]

        return Place(name="machine", goos="linux", goarch=GOARCH[self.arch], program=program)

    def _fit(self, deadline: Deadline) -> None:
        said = self.link.run(["sh", "-c", FACTS, "facts", f"{self.root}/build"], deadline.sooner(ASK_S)).text().split()
        memory_mib, free_mib = int(said[1]) // 1024, int(said[6]) // 1024
        if memory_mib < NEEDED_MIB:
            message = f"building there needs {NEEDED_MIB} MiB of memory, the machine has {memory_mib}"
            raise PreconditionError(message, fix="--build host, or a machine with more --memory")
        if free_mib < DISK_MIB:
            message = f"building there needs {DISK_MIB} MiB of disk, {free_mib} are free in {self.root}"
            raise PreconditionError(message, fix="--build host, or a new machine")

    def need_go(self, version: str, deadline: Deadline) -> None:
        """Raise PreconditionError unless the machine has exactly this Go."""
        said = self.link.run([GO, "version"], deadline.sooner(ASK_S))
        if version not in said.text().split():
            raise _lacks(version)


def bundle(lab: Lab, scratches: Sequence[BuildDir], room: Path) -> tuple[Path, str]:
    """One folder with every source and every module that they need, and the digest of what it stands for."""
    tree = room / "bundle"
    for number, scratch in enumerate(scratches):
        shutil.copytree(scratch.root, tree / "src" / str(number), symlinks=True)
    modules = lab.paths.build / "modules"
    for folder in sorted(set().union(*(scratch.module_dirs for scratch in scratches))):
        if Path(folder).is_relative_to(modules):
            _link(Path(folder), tree / "mod" / Path(folder).relative_to(modules))
    # what tells Go that these modules are whole, without the archives they came in
    for path in (modules / "cache" / "download").rglob("*"):
        if path.suffix in {".mod", ".info", ".ziphash"} or path.name == "list":
            target = tree / "mod" / path.relative_to(modules)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    names = "".join(f"{scratch.recipe.key()}\n" for scratch in scratches)
    return tree, hashlib.sha256(f"build {names}".encode()).hexdigest()


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    for folder, _, files in os.walk(source):
        inner = target / Path(folder).relative_to(source)
        inner.mkdir(parents=True, exist_ok=True)
        for name in files:
            os.link(Path(folder) / name, inner / name)


@contextlib.contextmanager
def carried(lab: Lab, shop: BuildMachine, scratches: Sequence[BuildDir], room: Path) -> Iterator[str]:
    """The bundle in the machine; its copy here is gone afterwards."""
    tree, digest = bundle(lab, scratches, room)
    with lab.bus.step("carry", f"sources and modules of {len(scratches)} builds into the machine"):
        at = shop.carry(tree, digest)
    shutil.rmtree(tree)
    yield at


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestBuild:
    """One build in the machine: its source lies in `at`/src/`number`."""

    shop: BuildMachine
    scratch: BuildDir
    at: str
    number: int
    log: Path

    @property
    def work(self) -> str:
        return f"{self.shop.root}/build/{self.scratch.recipe.key()[:16]}"

    def compile(
        self, lab: Lab, tools: Mapping[str, str], out: Path, on_line: Callable[[str], None], deadline: Deadline
    ) -> cache.Built:
        """Copy the source, run the steps, bring the binary home and prove it. Idempotent: it begins again."""
        began, recipe = time.monotonic(), self.scratch.recipe
        self._check(["sh", "-c", COPY, "copy", self.work, f"{self.at}/src/{self.number}"], deadline, on_line)
        key = recipe.key()
        values = {"out": self.result(), "main": recipe.main, "ldflags": recipe.ldflags(key)}
        values["goarch"] = GOARCH[self.shop.arch]
        values |= self.scratch.modules_at(lambda folder: self._module(lab, folder))
        for step in (*recipe.spec.before, *recipe.spec.steps):
            self._step(filled(step, values, {"go": GO, **tools}), deadline, on_line)
        self._fetch(out, deadline)
        return fitting.proven(lab, self.scratch, key, out, began, deadline, built="in the machine")

    def result(self) -> str:
        """Where the binary is in the machine."""
        return f"{self.work}/{self.scratch.recipe.name}"

    def _module(self, lab: Lab, folder: str) -> str:
        return f"{self.at}/mod/{Path(folder).relative_to(lab.paths.build / 'modules').as_posix()}"

    def _environment(self, recipe: Recipe) -> dict[str, str]:
        """The whole of it: nothing of the machine's own is inherited."""
        root = f"{self.shop.root}/build"
        return {
            "PATH": "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": f"{root}/home",
            "GOCACHE": f"{root}/cache",
            "GOMODCACHE": f"{self.at}/mod",
            "GOFLAGS": f"-mod=readonly {FLAGS}",
            "GOARCH": GOARCH[self.shop.arch],
            "TMPDIR": f"{self.work}/tmp",  # noqa: S108  # a folder of this build alone
            **SETTINGS,
            **{variable: program for variable, program, _ in recipe.programs},
            **recipe.spec.env,
        }

    def _step(self, argv: Sequence[str], deadline: Deadline, on_line: Callable[[str], None]) -> None:
        """As a unit: one that a killed command left behind is ended first, and none outlives a second one's start."""
        env = [f"{name}={value}" for name, value in self._environment(self.scratch.recipe).items()]
        command = ["env", "-i", *env, "nice", "-n", "5", *argv]
        self.shop.link.run(["systemctl", "stop", UNIT], deadline.sooner(ASK_S))
        unit = ["--quiet", "--collect", "--wait", "--pipe", f"--unit={UNIT}", f"--working-directory={self.work}/src"]
        self._check(["systemd-run", *unit, "--", *command], deadline, on_line)

    def _check(self, argv: Sequence[str], deadline: Deadline, on_line: Callable[[str], None]) -> None:
        said = self.shop.link.run(argv, deadline, on_line=on_line)
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(argv)}\n{said.tail()}\n")
        if not said.ok:
            raise DemoError(
                f"{self.scratch.recipe.label} does not build in the machine (exit code {said.code})",
                fix=f"read {self.log}, or --build host",
                detail=said.tail(),
                log=str(self.log),
            )

    def _fetch(self, out: Path, deadline: Deadline) -> None:
        said = self.shop.link.run(["sha256sum", "--", self.result()], deadline.sooner(ASK_S))
        if not said.ok:
            message = f"{self.scratch.recipe.label}: its steps made no {{out}}"
            raise DemoError(message, fix="let a build step write to {out}", detail=said.tail())
        out.unlink(missing_ok=True)
        self.shop.link.get(self.result(), out, deadline, max_bytes=MAX_BINARY_BYTES)
        if digests.of_file(out) != said.text().split()[0]:
            message = f"{self.scratch.recipe.label} came home different from what the machine has"
            raise TransientError(message, fix="run the command again")


def _lacks(what: str) -> PreconditionError:
    return PreconditionError(f"the machine has no {what} to build with", fix="--build host, or the default image")
