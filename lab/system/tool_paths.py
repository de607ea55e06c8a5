"""The folders of tools outside PATH, and the commands that install them, per system."""

from __future__ import annotations

import ntpath
import sys
from collections.abc import Mapping
from typing import Final

# as text, so that each system's branch can be tested on every system
PLATFORM: str = sys.platform

DEBIAN: Final = "lab doctor --install"
QEMU: Final = ("qemu-system-x86_64", "qemu-system-aarch64", "qemu-img")
COMPILERS: Final = ("clang", "llvm-strip")
INSTALL: Final[dict[str, dict[str, str]]] = {
    "darwin": {
        **dict.fromkeys(QEMU, "brew install qemu"),
        **dict.fromkeys(COMPILERS, "brew install llvm"),
        **{name: f"brew install {name}" for name in ("lz4", "zstd")},
    },
    "win32": {
        **dict.fromkeys(QEMU, "winget install SoftwareFreedomConservancy.QEMU"),
        **dict.fromkeys(COMPILERS, "winget install LLVM.LLVM"),
        "ssh": "add the optional Windows feature OpenSSH Client",
        "sftp": "add the optional Windows feature OpenSSH Client",
    },
}


def folders(platform: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The folders to search after PATH.

    A normal user's PATH lacks the sbin folders of Linux. On a Mac, programs that no login shell started lack Homebrew
    and MacPorts in PATH. QEMU's Windows installer and MSYS2's package do not change PATH.
    """
    if platform == "darwin":
        llvm = ("/opt/homebrew/opt/llvm/bin", "/usr/local/opt/llvm/bin")  # Homebrew does not add it to PATH
        return ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin", *llvm, "/usr/sbin", "/sbin")
    if platform != "win32":
        return ("/usr/sbin", "/sbin", "/usr/local/sbin")
    programs = environment.get("ProgramFiles", r"C:\Program Files")
    system = environment.get("SystemRoot", r"C:\Windows")
    msys = environment.get("MSYS2_ROOT", ntpath.join(environment.get("SystemDrive", "C:") + "\\", "msys64"))
    return (
        ntpath.join(programs, "qemu"),
        *(ntpath.join(msys, kind, "bin") for kind in ("ucrt64", "clang64", "mingw64")),
        ntpath.join(system, "System32", "OpenSSH"),
    )


def fix(tool: str) -> str:
    """The command that installs a missing tool."""
    otherwise = DEBIAN if PLATFORM == "linux" else f"install {tool}, and add its folder to PATH"
    return INSTALL.get(PLATFORM, {}).get(tool, otherwise)
