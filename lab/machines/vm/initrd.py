"""The initial RAM disk, and the seed that gives a machine its identity.

Both are newc cpio archives, uncompressed (unpacking costs more than reading under emulation). The kernel accepts
several archives in a row, so that a machine's secrets are a second, tiny archive behind the image's shared first one.
Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.machine import Seed
from lab.system import proc
from lab.system.wait import Deadline

ARCHIVE_ALIGNMENT: Final = 512
MAGIC: Final = b"070701"
FIELDS: Final = 13  # of 8 hexadecimal digits each
HEADER: Final = len(MAGIC) + 8 * FIELDS
TRAILER: Final = "TRAILER!!!"
DIRECTORY: Final = 0o040000
REGULAR: Final = 0o100000
DRIVERS: Final = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_console", "ext4")
"""Loaded before systemd; there is no device manager, so later only modules requested by name are loaded."""
DRIVERS_PLACE: Final = "m"
MODULE_SUFFIX: Final = re.compile(r"\.ko(\.\w+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in an archive: a directory when `data` is None. `mode` is permission bits only. Owner is root."""

    path: str
    mode: int
    data: bytes | None = None


def archive(entries: Iterable[Entry]) -> bytes:
    """A newc cpio archive, padded so that another may follow. The same entries give the same bytes."""
    out = bytearray()
    for number, entry in enumerate(entries, start=1):
        kind = DIRECTORY if entry.data is None else REGULAR
        _append(out, number, entry.path, kind | entry.mode, entry.data or b"")
    _append(out, 0, TRAILER, 0, b"")
    out += bytes(-len(out) % ARCHIVE_ALIGNMENT)
    return bytes(out)


def _append(out: bytearray, number: int, path: str, mode: int, data: bytes) -> None:
    name = path.encode() + b"\0"
    links = 2 if mode & DIRECTORY else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    out += MAGIC + b"".join(b"%08x" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += data
    out += bytes(-len(out) % 4)


def entries(archive: bytes) -> list[Entry]:
    """The entries of a newc cpio archive. Raises ValueError for anything else."""
    found: list[Entry] = []
    at = 0
    while archive[at : at + 6] == MAGIC:
        fields = [int(archive[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(FIELDS)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        body = at + HEADER + name_size
        path = archive[at + HEADER : body - 1].decode()
        if path == TRAILER:
            return found
        body += -body % 4
        data = None if mode & DIRECTORY else archive[body : body + size]
        found.append(Entry(path=path, mode=mode & 0o7777, data=data))
        at = body + size + -size % 4
    raise ValueError(f"not a cpio archive: no header at {at}")


def tree_entries(files: Mapping[str, tuple[int, bytes]]) -> list[Entry]:
    """Entries for files given as place -> (mode, content), with every parent directory once, before its content.

    A directory that holds a private file (no bit for others) is private too.
    """
    directories: dict[str, int] = {}
    for place, (mode, _) in sorted(files.items()):
        for parent in reversed(PurePosixPath(place).parents):
            if str(parent) not in (".", "/"):
                directories.setdefault(str(parent), 0o755)
        if mode & 0o077 == 0 and PurePosixPath(place).parent.name.startswith("."):
            directories[str(PurePosixPath(place).parent)] = 0o700
    entries = {path: Entry(path=path, mode=mode) for path, mode in directories.items()}
    entries |= {place: Entry(path=place, mode=mode, data=data) for place, (mode, data) in files.items()}
    return [entries[path] for path in sorted(entries)]


def seed_files(seed: Seed, *, hostname: str) -> dict[str, tuple[int, bytes]]:
    """The machine's identity: place in the machine -> (mode, content)."""
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n"
    return {
        "etc/hostname": (0o644, f"{hostname}\n".encode()),
        "etc/hosts": (0o644, hosts.encode()),
        "etc/machine-id": (0o444, f"{seed.machine_id}\n".encode()),
        "etc/ssh/ssh_host_ed25519_key": (0o600, seed.host_key_private.read_bytes()),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, _line(seed.host_key_public)),
        "root/.ssh/authorized_keys": (0o600, _line(seed.user_key_public)),
    }


def seed_archive(seed: Seed, *, hostname: str, more: Mapping[str, tuple[int, bytes]] | None = None) -> bytes:
    """The second archive of a machine's initial RAM disk: its seed below /seed, and `more` files of the same kind."""
    files = seed_files(seed, hostname=hostname) | dict(more or {})
    return archive(tree_entries({f"seed/{place}": content for place, content in files.items()}))


def _line(text: str) -> bytes:
    return text.strip().encode() + b"\n"


def initrd(tree: Path, init: Path) -> bytes:
    """The image's shared archive: /init and the drivers of the one kernel in `tree`, in loading order."""
    files = {"init": (0o755, init.read_bytes())} | drivers(kernel_modules(tree))
    places = [Entry(path=name, mode=0o755) for name in ("dev", "r", "seed", "sys")]
    return archive([*places, *tree_entries(files)])


def drivers(modules: Path) -> dict[str, tuple[int, bytes]]:
    """Place -> (mode, content) of what must be loaded of lib/modules/VERSION, named in the order of loading."""
    loaded = load_order((modules / "modules.dep").read_text(encoding="utf-8"), DRIVERS)
    return {
        f"{DRIVERS_PLACE}/{number:02d}-{module_name(relative)}.ko": (0o644, read_module(modules / relative))
        for number, relative in enumerate(loaded)
    }


def without_drivers(shared: bytes) -> bytes:
    """The image's shared archive for another kernel, whose drivers follow in a second archive."""
    return archive(entry for entry in entries(shared) if not entry.path.startswith(f"{DRIVERS_PLACE}/"))


def kernel_modules(tree: Path) -> Path:
    """The module folder of the one kernel in `tree`."""
    found = sorted((tree / "usr/lib/modules").glob("*/modules.dep"))
    if len(found) != 1:
        names = ", ".join(path.parent.name for path in found) or "none"
        raise ProvisioningError(f"expected one kernel in {tree}, found {names}", fix="run the command again")
    return found[0].parent


def module_name(path: str) -> str:
    return MODULE_SUFFIX.sub("", PurePosixPath(path).name).replace("-", "_")


def load_order(modules_dep: str, wanted: Iterable[str]) -> list[str]:
    """Module files to load, each after what it needs, from the text of modules.dep. Built-in ones are left out."""
    needs: dict[str, list[str]] = {}
    for line in modules_dep.splitlines():
        module, _, others = line.partition(":")
        needs[module] = others.split()
    by_name = {module_name(module): module for module in needs}
    order: list[str] = []

    def add(module: str) -> None:
        if module in order:
            return
        for other in reversed(needs.get(module, [])):
            add(other)
        order.append(module)

    for name in wanted:
        if name in by_name:
            add(by_name[name])
    return order


def read_module(path: Path) -> bytes:
    """A module's ELF bytes, whatever it is compressed with (finit_module takes them plain).

    Raises PreconditionError for a damaged one.
    """
    data = path.read_bytes()
    try:
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
    except (lzma.LZMAError, OSError, EOFError, zlib.error) as error:
        fix = "copy the modules again, or install the kernel's package again"
        raise PreconditionError(f"cannot unpack the module {path}: {error}", fix=fix) from error
    if path.suffix == ".zst":
        deadline = Deadline.after(60.0)
        argv = [proc.require_tool("zstd"), "-dcq"]
        result = proc.check(argv, stdin=data, deadline=deadline, error=ProvisioningError, fix="lab doctor --install")
        return result.stdout
    return data
