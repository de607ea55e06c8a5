"""Where tools are that PATH does not name, and what installs them: per system, in one place."""

from __future__ import annotations

import ntpath
import sys
from collections.abc import Mapping
from typing import Final

# as text: what is decided by it is decided, and tested, on every system
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
    """Where to look after PATH.

    An ordinary user's PATH lacks the sbin folders of Linux. A Mac's PATH lacks Homebrew and MacPorts in whatever no
    login shell started. QEMU's Windows installer leaves PATH alone, and so does MSYS2's package.
    """
    if platform == "darwin":
        llvm = ("/opt/homebrew/opt/llvm/bin", "/usr/local/opt/llvm/bin")  # Homebrew leaves it out of PATH
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
    """What a user types to get a tool that is missing."""
    otherwise = DEBIAN if PLATFORM == "linux" else f"install {tool}, and have its folder in PATH"
    return INSTALL.get(PLATFORM, {}).get(tool, otherwise)
