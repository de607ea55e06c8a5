"""Send a sealed folder in one stream. Runs from its source alone: `python3 -I -S -c SOURCE FOLDER`.

Standard input: one JSON object, path -> bytes that the other side already has. Standard output: for the manifest and
for each of its files in order, frames of a four-byte length (big endian) and that many bytes; length 0 ends a file,
UNREADABLE ends a file that cannot be read.
"""

from __future__ import annotations

import json
import os
import stat
import sys

TYPE_CHECKING = False  # `typing` costs an emulated machine a tenth of a second
if TYPE_CHECKING:
    from typing import BinaryIO

MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES = 8 << 20
FRAME_BYTES = 1 << 18
UNREADABLE = b"\xff\xff\xff\xff"
END = b"\0\0\0\0"


def main() -> None:
    folder, have = sys.argv[1], json.load(sys.stdin)
    with open(1, "wb", buffering=FRAME_BYTES) as out:
        try:
            with open(os.path.join(folder, MANIFEST_FILE), "rb", opener=_regular) as file:
                raw = file.read(MANIFEST_BYTES + 1)
        except OSError:
            out.write(UNREADABLE)
            return
        _frames(out, raw)
        out.flush()  # the receiver checks it while the files are read here
        try:
            files = [(str(entry["path"]), int(entry["size"])) for entry in json.loads(raw)["files"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # the receiver reports what is wrong with it
        for path, size in files:
            start = have.get(path, 0)
            _send(out, os.path.join(folder, path), start if start <= size else 0, size)


def _send(out: BinaryIO, path: str, start: int, size: int) -> None:
    if start == size:
        out.write(END)
        return
    try:
        with open(path, "rb", buffering=0, opener=_regular) as file:
            file.seek(start)
            while start < size:
                chunk = file.read(min(FRAME_BYTES, size - start))
                if not chunk:
                    break
                out.write(len(chunk).to_bytes(4, "big") + chunk)
                start += len(chunk)
        out.write(END)
    except OSError:
        out.write(UNREADABLE)


def _frames(out: BinaryIO, data: bytes) -> None:
    for at in range(0, len(data), FRAME_BYTES):
        chunk = data[at : at + FRAME_BYTES]
        out.write(len(chunk).to_bytes(4, "big") + chunk)
    out.write(END)


def _regular(path: str, flags: int) -> int:
    """Open regular files only: a named pipe or a device would block or never end."""
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(path)
    return number


if __name__ == "__main__":
    main()
