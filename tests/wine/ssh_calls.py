"""Run by a Windows Python: what `lab` does over SSH, against a server that the test started. Prints what it saw.

argv: port, identity file, pinned host key, another host key, a folder of the machine's, a folder of this host's.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path

from lab.model.config import Config
from lab.model.errors import SecurityStop, TransientError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import SshEndpoint
from lab.model.paths import Paths
from lab.remote import connect
from lab.runs.fetch import fetch
from lab.system.wait import Deadline


def main(port: str, identity: str, host_key: str, other_key: str, there: str, here: str) -> None:
    """Every call once, with its answer."""
    home = Path(here)
    lab = Lab(config=Config(), paths=Paths(home=home), bus=Bus(), cancel=threading.Event())
    endpoint = SshEndpoint(
        host="127.0.0.1", port=int(port), user="root", identity_file=Path(identity), host_key=host_key
    )
    with connect(lab, endpoint, _soon()) as link:
        ended = link.run(["sh", "-c", 'printf "%s|" "$@"; exit 7', "say", "a  b", 'c"d', "é✓"], _soon())
        print("run", ended.code, ended.text())
        source = home / "with space é.bin"
        source.write_bytes(bytes(range(256)) * 4096)
        link.put(source, f"{there}/sent", _soon())
        print("put", link.run(["sha256sum", f"{there}/sent"], _soon()).text().split()[0] == _digest(source))
        part = home / "part"
        part.write_bytes(source.read_bytes()[:1000])
        link.get(f"{there}/sent", part, _soon(), max_bytes=1 << 24, offset=1000)
        print("get", _digest(part) == _digest(source))
        manifest = fetch(link, f"{there}/run", home / "run", _soon(), progress=lambda _done, _total: None)
        print("fetch", [entry.path for entry in manifest.files], (home / "run/cells/a.txt").read_text())
    wrong = SshEndpoint(host="127.0.0.1", port=int(port), user="root", identity_file=Path(identity), host_key=other_key)
    try:
        connect(lab, wrong, _soon())
    except SecurityStop as stop:
        print("stranger", stop.exit_code)
    try:
        with connect(lab, endpoint, _soon()) as link:
            link.run(["sh", "-c", 'kill -9 "$PPID"'], _soon())
    except TransientError as lost:
        print("lost", lost.exit_code)


def _soon() -> Deadline:
    return Deadline.after(90)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a pipe's text stream
    main(*sys.argv[1:])
