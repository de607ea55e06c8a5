"""Builds inside a machine: the host copies sources and downloads modules, the machine's Go and clang compile them.

The machine needs no network. Its build cache stays, so the next build in it is fast.
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
    "GOSUMDB": "off",  # go.sum verifies each module; the machine has no network
    "GOENV": "off",
    "GOOS": "linux",
}
COPY: Final = 'rm -rf -- "$1" && mkdir -p -- "$1/tmp" && cp -R -- "$2" "$1/src" && chmod -R u+w -- "$1/src"'
FACTS: Final = 'mkdir -p -- "$1"; grep MemTotal /proc/meminfo; df -Pk -- "$1" | tail -n 1'
FIRST: Final = 'for each; do command -v "$each" >/dev/null && { echo "$each"; exec "$each" --version; }; done; exit 1'


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildMachine:
    """A machine to build in, over a live connection. `root`: our folder in it. `carry(folder, digest)` makes a folder
    of this host readable in it and returns its path."""

    link: Transport
    root: str
    arch: Arch
    carry: Callable[[Path, str], str]

    def place(self, deadline: Deadline) -> Place:
        """The build place for recipes. Raises PreconditionError when the machine cannot build."""
        self._fit(deadline)

        def program(candidates: Sequence[str]) -> tuple[str, str]:
            result = self.link.run(["sh", "-c", FIRST, "first", *candidates], deadline.sooner(ASK_S))
            if not result.ok:
                raise _lacks(candidates[0])
            name, _, version = result.text().partition("\n")
            return name.strip(), version.partition("\n")[0]

        return Place(name="machine", goos="linux", goarch=GOARCH[self.arch], program=program)

    def _fit(self, deadline: Deadline) -> None:
        words = self.link.run(["sh", "-c", FACTS, "facts", f"{self.root}/build"], deadline.sooner(ASK_S)).text().split()
        memory_mib, free_mib = int(words[1]) // 1024, int(words[6]) // 1024
        if memory_mib < NEEDED_MIB:
            message = f"a build in the machine needs {NEEDED_MIB} MiB of memory, it has {memory_mib}"
            raise PreconditionError(message, fix="use --build host, or a machine with more --memory")
        if free_mib < DISK_MIB:
            message = f"a build in the machine needs {DISK_MIB} MiB of disk, {free_mib} are free in {self.root}"
            raise PreconditionError(message, fix="use --build host, or a new machine")

    def need_go(self, version: str, deadline: Deadline) -> None:
        """Raise PreconditionError unless the machine has exactly this Go."""
        result = self.link.run([GO, "version"], deadline.sooner(ASK_S))
        if version not in result.text().split():
            raise _lacks(version)


def bundle(lab: Lab, scratches: Sequence[BuildDir], room: Path) -> tuple[Path, str]:
    """One folder with every source and all modules that they need, and the digest of their recipes."""
    tree = room / "bundle"
    for number, scratch in enumerate(scratches):
        shutil.copytree(scratch.root, tree / "src" / str(number), symlinks=True)
    modules = lab.paths.build / "modules"
    for folder in sorted(set().union(*(scratch.module_dirs for scratch in scratches))):
        if Path(folder).is_relative_to(modules):
            _link(Path(folder), tree / "mod" / Path(folder).relative_to(modules))
    # the files by which Go accepts these modules without their archives
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
def carried(lab: Lab, machine: BuildMachine, scratches: Sequence[BuildDir], room: Path) -> Iterator[str]:
    """Copy the bundle into the machine; its copy on this host is removed."""
    tree, digest = bundle(lab, scratches, room)
    with lab.bus.step("carry", f"copy sources and modules of {len(scratches)} builds to the machine"):
        at = machine.carry(tree, digest)
    shutil.rmtree(tree)
    yield at


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestBuild:
    """One build in the machine: its source is in `at`/src/`number`."""

    machine: BuildMachine
    scratch: BuildDir
    at: str
    number: int
    log: Path

    @property
    def work(self) -> str:
        return f"{self.machine.root}/build/{self.scratch.recipe.key()[:16]}"

    def compile(
        self, lab: Lab, tools: Mapping[str, str], out: Path, on_line: Callable[[str], None], deadline: Deadline
    ) -> cache.Built:
        """Copy the source, run the steps, fetch the binary and check it. Idempotent: it starts from the beginning."""
        began, recipe = time.monotonic(), self.scratch.recipe
        self._check(["sh", "-c", COPY, "copy", self.work, f"{self.at}/src/{self.number}"], deadline, on_line)
        key = recipe.key()
        values = {"out": self.result(), "main": recipe.main, "ldflags": recipe.ldflags(key)}
        values["goarch"] = GOARCH[self.machine.arch]
        values |= self.scratch.modules_at(lambda folder: self._module(lab, folder))
        for step in (*recipe.spec.before, *recipe.spec.steps):
            self._step(filled(step, values, {"go": GO, **tools}), deadline, on_line)
        self._fetch(out, deadline)
        return fitting.proven(lab, self.scratch, key, out, began, deadline, built="in the machine")

    def result(self) -> str:
        """The binary's path in the machine."""
        return f"{self.work}/{self.scratch.recipe.name}"

    def _module(self, lab: Lab, folder: str) -> str:
        return f"{self.at}/mod/{Path(folder).relative_to(lab.paths.build / 'modules').as_posix()}"

    def _environment(self, recipe: Recipe) -> dict[str, str]:
        """The whole environment: nothing is inherited from the machine."""
        root = f"{self.machine.root}/build"
        return {
            "PATH": "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": f"{root}/home",
            "GOCACHE": f"{root}/cache",
            "GOMODCACHE": f"{self.at}/mod",
            "GOFLAGS": f"-mod=readonly {FLAGS}",
            "GOARCH": GOARCH[self.machine.arch],
            "TMPDIR": f"{self.work}/tmp",  # noqa: S108  # a folder of this build alone
            **SETTINGS,
            **{variable: program for variable, program, _ in recipe.programs},
            **recipe.spec.env,
        }

    def _step(self, argv: Sequence[str], deadline: Deadline, on_line: Callable[[str], None]) -> None:
        """Run it as a transient unit: one left by a killed command is stopped first, so that only one runs."""
        env = [f"{name}={value}" for name, value in self._environment(self.scratch.recipe).items()]
        command = ["env", "-i", *env, "nice", "-n", "5", *argv]
        self.machine.link.run(["systemctl", "stop", UNIT], deadline.sooner(ASK_S))
        unit = ["--quiet", "--collect", "--wait", "--pipe", f"--unit={UNIT}", f"--working-directory={self.work}/src"]
        self._check(["systemd-run", *unit, "--", *command], deadline, on_line)

    def _check(self, argv: Sequence[str], deadline: Deadline, on_line: Callable[[str], None]) -> None:
        result = self.machine.link.run(argv, deadline, on_line=on_line)
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(argv)}\n{result.tail()}\n")
        if not result.ok:
            raise DemoError(
                f"{self.scratch.recipe.label} does not build in the machine (exit code {result.code})",
                fix=f"read {self.log}, or use --build host",
                detail=result.tail(),
                log=str(self.log),
            )

    def _fetch(self, out: Path, deadline: Deadline) -> None:
        result = self.machine.link.run(["sha256sum", "--", self.result()], deadline.sooner(ASK_S))
        if not result.ok:
            message = f"{self.scratch.recipe.label}: its build steps did not write {{out}}"
            raise DemoError(message, fix="let a build step write {out}", detail=result.tail())
        out.unlink(missing_ok=True)
        self.machine.link.get(self.result(), out, deadline, max_bytes=MAX_BINARY_BYTES)
        if digests.of_file(out) != result.text().split()[0]:
            message = f"{self.scratch.recipe.label}: the fetched binary differs from the one in the machine"
            raise TransientError(message, fix="run the command again")


def _lacks(what: str) -> PreconditionError:
    return PreconditionError(f"the machine has no {what} for the build", fix="use --build host, or the default image")
