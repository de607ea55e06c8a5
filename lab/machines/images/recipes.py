"""The distributions that an image can be built from, each with its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.machines.images import apt
from lab.model.machine import Arch


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecipe:
    """A distribution that an image can be built from.

    `kernel`: the series of its kernel package. `instead`: (package in the playbook, its replacement in this release).
    `links`: (place, target) of commands that have another name in the replacement. `pockets`: the parts of the
    release.
    """

    suite: str
    kernel: str
    archs: tuple[Arch, ...] = ("x86_64",)
    instead: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    pockets: tuple[str, ...] = apt.POCKETS


# Debian 11's plain clang is 11; the agent's BPF objects are known to compile with 14 to 19.
CLANG_16: Final = (("clang", "clang-16"), ("llvm", "llvm-16"))
LINKS_16: Final = (
    ("/usr/local/bin/clang", "/usr/bin/clang-16"),
    ("/usr/local/bin/llvm-strip", "/usr/bin/llvm-strip-16"),
)
# The playbook uses the package names of x86-64.
OF_ARCH: Final[dict[Arch, dict[str, str]]] = {
    "x86_64": {},
    "aarch64": {"linux-image-cloud-amd64": "linux-image-cloud-arm64"},
}
RECIPES: Final = {
    # No longer maintained. Only its last point release is complete: mirrors list security updates that they lack.
    "debian-11": ImageRecipe(suite="bullseye", kernel="5.10", instead=CLANG_16, links=LINKS_16, pockets=("",)),
    "debian-12": ImageRecipe(suite="bookworm", kernel="6.1", archs=("x86_64", "aarch64")),
    "debian-13": ImageRecipe(suite="trixie", kernel="6.12", archs=("x86_64", "aarch64")),
}
