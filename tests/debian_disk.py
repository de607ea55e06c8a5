"""Debian systems that we did not bake: trees by mmdebstrap with none of our playbooks, and disks that start by GRUB."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.machines.images import apt

SUITE: Final = "bookworm"
SECTOR: Final = 512
FIRST: Final = 2048  # sectors before the partition: the loader lives there
ROOT_MIB: Final = 4096
GRUB: Final = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES: Final = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "boot", "echo")


def inputs(*own: str) -> str:
    """A name for what is made from `own` and from this host's mirrors."""
    told = "\0".join((SUITE, *own, *apt.sources(SUITE), *apt.settings()))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def tree(folder: Path, packages: Sequence[str], customize: str, *arguments: Path) -> Path:
    """`folder`/tree with `packages`; `customize` is a shell script whose $1 is the tree, then come `arguments`."""
    made = folder / "tree"
    (folder / "customize").write_text(customize)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", "--skip=check/qemu"]
    argv += [f"--aptopt={option}" for option in ('APT::Install-Recommends "false";', *apt.settings())]
    argv += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*"]
    given = "".join(f' "{path}"' for path in arguments)
    argv += [f'--customize-hook=sh "{folder / "customize"}" "$1"{given}']
    done = subprocess.run([*argv, SUITE, str(made), *apt.sources(SUITE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def bootable(folder: Path, root: Path, grub_config: str, image: Path) -> None:
    """The qcow2 disk `image` with one partition that holds `root`, which goes; GRUB starts what `grub_config` says."""
    disk, offset = folder / "disk.raw", FIRST * SECTOR
    with disk.open("wb") as file:
        file.truncate(offset + (ROOT_MIB << 20))
        file.write(_loader(folder, grub_config))
    mke2fs = ["mke2fs", "-q", "-t", "ext4", "-E", f"offset={offset}", "-d", str(root), str(disk), f"{ROOT_MIB}M"]
    subprocess.run(mke2fs, check=True)
    shutil.rmtree(root)
    convert = ["qemu-img", "convert", "-c", "-m", "2", "-O", "qcow2", "-o", "compression_type=zstd"]
    subprocess.run([*convert, str(disk), str(image)], check=True)
    disk.unlink()


def _loader(folder: Path, config: str) -> bytes:
    """GRUB before the only partition: the boot sector with the partition table, then its core."""
    (folder / "early.cfg").write_text(config)
    core = folder / "core.img"
    argv = ["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", str(folder / "early.cfg"), "-o", str(core)]
    subprocess.run([*argv, *GRUB_MODULES], check=True)
    # status, CHS of begin and end (unused), type Linux, first sector, sectors
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST, ROOT_MIB * 2048)
    sector = (GRUB / "boot.img").read_bytes()[:440] + bytes(6) + entry + bytes(48) + b"\x55\xaa"
    made = sector + core.read_bytes()
    assert len(made) <= FIRST * SECTOR
    return made
