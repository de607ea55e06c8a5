"""Builds the file tree of an image: Debian packages, the Go toolchain, then the playbook; no boot, no loop mount."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.machines.images import apt, idle_module
from lab.machines.provisioning import playbook
from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.events import Output, Progress
from lab.model.lab import Lab
from lab.model.machine import GOARCH, Arch
from lab.system import proc, resources, toolchain
from lab.system.environment import shielded
from lab.system.wait import Deadline

TREE: Final = "tree"
INIT_BINARY: Final = "lab-init"
GO_PLACE: Final = "usr/local/go"
PACKAGES_STEP: Final = "image.packages"
INIT_SOURCE: Final = "playbooks/init"
TRY_AGAIN: Final = "run the command again"

NAMESPACES: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

APT_OPTIONS: Final = ('APT::Install-Recommends "false";', 'Acquire::Languages "none";')
DPKG_OPTIONS: Final = (
    "force-unsafe-io",  # no need to survive a power cut; the finished image is synced once
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    # the machine starts from lab's initial RAM disk: do not build Debian's
    "path-exclude=/etc/kernel/postinst.d/initramfs-tools",
)
# Removed as files, which is faster than removing packages in the end.
LEFTOVERS: Final = ("var/cache/apt", "var/lib/apt/lists", "var/log", "boot/System.map-*", "usr/lib/valgrind")
MERGED: Final = ("bin", "lib", "lib64", "sbin")
GO_UNUSED: Final = ("api", "doc", "misc", "test")  # at the top; src/go/doc is a package like any other
GO_PROGRAMS: Final = ("bin/*", "pkg/tool/*/*")
DEBIANS_UMASK: Final = ("sh", "-c", 'umask 022; exec "$@"', "sh")  # files created inside the tree belong to the machine
GO_TESTS: Final = ("testdata", "*_test.go")
SETTINGS: Final = (APT_OPTIONS, DPKG_OPTIONS, LEFTOVERS, MERGED, GO_UNUSED, GO_PROGRAMS, GO_TESTS)
"""The settings above that decide a tree's content: part of an image's fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """The wanted image. `go_root`: the pinned Go toolchain of this host, which compiles the machine's init and, with
    `with_go`, is copied into the image; `guest_go`: copied instead, for another architecture. `packages`:
    Debian packages by name; `links`: (place, target)."""

    suite: str
    arch: Arch
    disk_gib: int
    packages: tuple[str, ...]
    go_root: Path
    with_go: bool = True
    guest_go: Path | None = None
    links: tuple[tuple[str, str], ...] = ()
    pockets: tuple[str, ...] = apt.POCKETS


def build(lab: Lab, spec: ImageSpec, ident: str, work: Path, deadline: Deadline) -> Path:
    """Build `work`/tree and `work`/lab-init; no other process uses `work`. Returns the tree.

    Raises PreconditionError (not root, a tool is missing), ProvisioningError (a package, the playbook).
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        raise PreconditionError("the image build needs root: Debian packages set owners", fix="run it with sudo")
    tree = work / TREE
    with ThreadPoolExecutor(max_workers=1) as beside:  # dpkg keeps one core busy; the compiler takes the other
        init = beside.submit(build_init, lab, spec.go_root, GOARCH[spec.arch], work / INIT_BINARY, deadline)
        toolchain = beside.submit(copy_go, spec.guest_go or spec.go_root, work / "go") if spec.with_go else None
        with lab.bus.step(PACKAGES_STEP, f"install {len(spec.packages)} Debian packages and their dependencies"):
            install_packages(lab, spec, tree, work / "packages.log", deadline)
        init.result()
        if toolchain is not None:
            toolchain.result()
            (work / "go").rename(tree / GO_PLACE)
    with lab.bus.step("image.idle", "compile the module for idle time"):
        idle_module.build(lab, tree, work / "idle.log", deadline, namespaces=NAMESPACES)
    with lab.bus.step("image.playbook", "apply the playbook to the tree"):
        variables = playbook_variables(ident, str(work / INIT_BINARY), dict(spec.links), spec.packages)
        playbook.apply_to_tree(lab, tree, variables=variables, log=work / "playbook.log", deadline=deadline)
    trim(tree)
    return tree


def playbook_variables(
    image_id: str, init_binary: str, links: dict[str, str], packages: tuple[str, ...]
) -> dict[str, Any]:
    """The playbook's variables for a golden image, in a tree or in a running machine."""
    image = {"golden": True, "image_id": image_id, "init_binary": init_binary}
    return {**image, "machine_links": links, "packages": {"machine": list(packages)}}


def install_packages(lab: Lab, spec: ImageSpec, tree: Path, log: Path, deadline: Deadline) -> None:
    """Run mmdebstrap in its own mount and process namespaces, into a tree whose /bin, /sbin and /lib link to /usr.

    Newer releases bring these links; older ones get the same layout this way.
    """
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for folder in (tree, tree / "usr", *(tree / "usr" / name for name in MERGED)):
        folder.chmod(0o755)  # independent of our umask
    # dies with lab: a killed build must leave no process that writes into the tree of the next one
    argv = [
        *proc.die_with_parent(NAMESPACES),
        *DEBIANS_UMASK,
        proc.require_tool("mmdebstrap"),
        "--mode=root",
        "--variant=minbase",
    ]
    packages = (*spec.packages, idle_module.HEADERS[spec.arch])
    argv += [f"--architectures={GOARCH[spec.arch]}"]
    argv += [f"--aptopt={option}" for option in (*APT_OPTIONS, *apt.settings())]
    argv += [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    argv += ["--verbose", "--skip=check/empty,cleanup/apt,check/qemu", f"--include={','.join(packages)}"]
    argv += [spec.suite, str(tree), *apt.sources(spec.suite, spec.pockets)]
    result = proc.run(argv, deadline=deadline, env=_quiet_environment(), on_line=_package_progress(lab), log=log)
    if not result.ok:
        message = f"cannot install the image's Debian packages (exit code {result.code})"
        detail = "\n".join(result.tail().splitlines()[-12:])
        raise ProvisioningError(message, fix=TRY_AGAIN, detail=detail, log=str(log))


def build_init(lab: Lab, go_root: Path, goarch: str, target: Path, deadline: Deadline) -> None:
    """Compile the machine's init: static, the same bytes for the same source and toolchain, on any host."""
    argv = [*proc.die_with_parent([str(go_root / "bin" / toolchain.GO)]), "build", "-trimpath", "-buildvcs=false"]
    argv += ["-ldflags=-s -w -buildid=", "-o", str(target), "."]
    source = resources.root() / INIT_SOURCE
    result = proc.run(argv, deadline=deadline, env=init_environment(lab, go_root, goarch), cwd=source)
    if not result.ok:
        raise ProvisioningError("the machine's init does not compile", fix="reinstall lab", detail=result.tail())


def init_environment(lab: Lab, go_root: Path, goarch: str) -> dict[str, str]:
    """The environment of a build for Linux that depends only on the toolchain and the source."""
    values = {"GOOS": "linux", "GOARCH": goarch, "GOROOT": str(go_root), "GOFLAGS": "-mod=readonly"}
    return toolchain.build_environment(lab, GOCACHE=str(lab.paths.build / "init"), **values)


def copy_go(go_root: Path, target: Path) -> None:
    """Copy a toolchain without its own tests and documents, as files that their owner may remove."""
    tests = shutil.ignore_patterns(*GO_TESTS)

    def unneeded(folder: str, names: list[str]) -> set[str]:
        return tests(folder, names) | (set(GO_UNUSED) if Path(folder) == go_root else set())

    shutil.copytree(go_root, target, symlinks=True, ignore=unneeded, copy_function=_copy_writable)
    for pattern in GO_PROGRAMS:  # Go makes a toolchain's files executable only when it selects that toolchain
        for program in target.glob(pattern):
            program.chmod(0o755)
    for folder, _, _ in os.walk(target):  # a module cache is read-only, and copytree copies that last
        Path(folder).chmod(0o755)  # readable by all on the machine, like any package


def _copy_writable(source: str, target: str) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
    executable = os.access(source, os.X_OK)
    Path(target).chmod(0o755 if executable else 0o644)


def trim(tree: Path) -> None:
    """Remove files that only the build needed. Their folders stay."""
    for pattern in LEFTOVERS:
        for place in tree.glob(pattern):
            if place.is_dir():
                _empty(place)
            else:
                place.unlink()


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_dir() or path.is_symlink():
            path.unlink()


def installed(tree: Path) -> dict[str, str]:
    """Package -> version of everything in the tree, from dpkg's own status file."""
    versions: dict[str, str] = {}
    for paragraph in (tree / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            versions[fields["Package"]] = fields["Version"]
    return versions


def _quiet_environment() -> dict[str, str]:
    return {**shielded(), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}


def _package_progress(lab: Lab) -> Callable[[str], None]:
    """Emit each stage and count the installed packages; the full output of apt and dpkg is in the log."""
    count = 0

    def tell(line: str) -> None:
        nonlocal count
        if line.startswith("Setting up "):
            count += 1
            lab.bus.emit(Progress(name=PACKAGES_STEP, done=count, total=None, unit="packages"))
        elif line.startswith(("I: ", "W: ", "E: ")):
            lab.bus.emit(Output(text=line))

    return tell
