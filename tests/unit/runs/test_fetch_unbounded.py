"""fetch-unbounded: a machine that lies about sizes costs neither this host's memory, nor its disk, nor its time."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import FileEntry
from lab.model.errors import FetchError, LabError, SecurityStop
from lab.remote.localhost import LocalTransport
from lab.runs import arrive, drive
from lab.runs.drive import Followed, Site
from lab.system.wait import Deadline
from tests.support import lab_at
from tests.unit.runs.test_fetch import Cut, entry, get, sample, seal

MIB = 1 << 20


class Liar(LocalTransport):
    """A machine whose packer sends whatever `says` gives."""

    says: Any = ()
    complains = b""

    def pipe(self, *_: Any, out: Any, err: Any, **__: Any) -> int:
        err(self.complains)
        for chunk in self.says:
            out(chunk)
        return 0


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def manifest(tmp_path: Path, *entries: FileEntry) -> bytes:
    seal(tmp_path / "sealed", *entries)
    return frame((tmp_path / "sealed" / "manifest.json").read_bytes()) + frame(b"")


def endless(first: bytes = b"") -> Iterator[bytes]:
    yield first
    while True:
        yield frame(bytes(256 * 1024))


@pytest.fixture
def liar(tmp_path: Path) -> Liar:
    return Liar(lab_at(tmp_path / "home"))


@pytest.fixture(autouse=True)
def cheap() -> Iterator[None]:
    """However it ends: quickly, and with little memory."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    yield
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def make(kind: str, path: Path) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_fetch_unbounded_manifest(liar: Liar, tmp_path: Path) -> None:
    liar.says = endless()
    with pytest.raises(SecurityStop, match="manifest is larger than"):
        get(liar, tmp_path, tmp_path / "dst")
    assert not (tmp_path / "dst").exists()


def test_fetch_unbounded_file(liar: Liar, tmp_path: Path) -> None:
    liar.says = endless(manifest(tmp_path, entry("a", b"hello"), entry("b", b"hello")))
    with pytest.raises(SecurityStop, match="more of a than the size in its manifest"):
        get(liar, tmp_path, tmp_path / "dst")
    assert written(tmp_path / "dst") <= 5


def test_fetch_unbounded_files(liar: Liar, tmp_path: Path) -> None:
    more = frame(b"hello") + frame(b"")
    liar.says = (manifest(tmp_path, entry("a", b"hello")), more, more)
    with pytest.raises(SecurityStop, match="more files than its manifest lists"):
        get(liar, tmp_path, tmp_path / "dst")


def test_fetch_unbounded_piece(liar: Liar, tmp_path: Path) -> None:
    liar.says = (manifest(tmp_path, entry("a", b"hello")), b"\x7f\xff\xff\xff", b"x")
    with pytest.raises(SecurityStop, match="a frame of 2147483647 bytes"):
        get(liar, tmp_path, tmp_path / "dst")


def test_fetch_unbounded_complaints(liar: Liar, tmp_path: Path) -> None:
    liar.complains = bytes(MIB)
    with pytest.raises(FetchError, match="printed more than 65536 bytes"):
        get(liar, tmp_path, tmp_path / "dst")


def test_a_file_that_is_here_whole_takes_no_byte_more(liar: Liar, tmp_path: Path) -> None:
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst" / "a").write_bytes(b"hello")
    liar.says = (manifest(tmp_path, entry("a", b"hello")), frame(b"!"), frame(b""))
    with pytest.raises(SecurityStop, match="more of a than"):
        get(liar, tmp_path, tmp_path / "dst")
    assert (tmp_path / "dst" / "a").read_bytes() == b"hello"


def test_results_that_do_not_fit_on_the_disk_are_not_begun(
    liar: Liar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrive.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 0, 70 * MIB))  # type: ignore[attr-defined]  # its only maker
    liar.says = endless(manifest(tmp_path, entry("a", size=10 * MIB)))
    with pytest.raises(FetchError, match="10485760 more bytes") as told:
        get(liar, tmp_path, tmp_path / "dst")
    assert "free disk space" in told.value.fix
    assert written(tmp_path / "dst") == 0


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path, kind: str) -> None:
    transport = Cut(lab_at(tmp_path / "home"))
    seal(tmp_path / "src", entry("a", b"hello"))
    make(kind, tmp_path / "src" / "a")
    with pytest.raises(FetchError, match=r"a cannot be read in the machine, twice"):
        get(transport, tmp_path / "src", tmp_path / "dst")
    (tmp_path / "src" / "manifest.json").unlink()
    make(kind, tmp_path / "src" / "manifest.json")
    with pytest.raises(FetchError, match="not sealed"):
        get(transport, tmp_path / "src", tmp_path / "dst")


@pytest.mark.parametrize("at", [0, 3, 500, 1100, 200_003, 1_024_002])
def test_a_cut_at_any_byte_goes_on_with_what_is_missing(tmp_path: Path, at: int) -> None:
    transport = Cut(lab_at(tmp_path / "home"))
    files = sample(tmp_path / "src")
    transport.allowed = at
    with pytest.raises(FetchError):
        get(transport, tmp_path / "src", tmp_path / "dst")
    transport.allowed = 10**12
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert {name: (tmp_path / "dst" / name).read_bytes() for name in files} == files
    assert transport.sent < sum(map(len, files.values())) + 2500


def test_a_part_that_is_not_of_this_file_costs_one_more_try(tmp_path: Path) -> None:
    transport = Cut(lab_at(tmp_path / "home"))
    files = sample(tmp_path / "src")
    (tmp_path / "dst" / "cells" / "01").mkdir(parents=True)
    (tmp_path / "dst" / "cells" / "01" / ".spans.jsonl.gz.part").write_bytes(b"wrong" * 100)
    (tmp_path / "dst" / "a.json").write_bytes(b"[]")
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert {name: (tmp_path / "dst" / name).read_bytes() for name in files} == files


def test_a_linked_folder_in_the_way_is_not_followed(tmp_path: Path) -> None:
    transport = Cut(lab_at(tmp_path / "home"))
    sample(tmp_path / "src")
    (tmp_path / "outside").mkdir()
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst" / "cells").symlink_to(tmp_path / "outside")
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert not list((tmp_path / "outside").iterdir())


def test_fetch_unbounded_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(root=str(tmp_path), run_id="r")
    Path(site.out).mkdir(parents=True)
    monkeypatch.setattr(drive, "MAX_EVENTS_BYTES", MIB)
    transport, seen = LocalTransport(lab_at(tmp_path / "home")), Followed()
    events = Path(site.out) / "events.jsonl"
    events.write_bytes(b"x" * (MIB - 10) + b"\n")
    assert drive.read_new(transport, site, seen, Deadline.after(20)) == []
    with events.open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(LabError, match="more than 1048576 bytes of events"):
        drive.read_new(transport, site, seen, Deadline.after(20))


def test_fetch_unbounded_answer_of_the_guest_half(tmp_path: Path) -> None:
    site = Site(root=str(tmp_path), run_id="r", python="sh")
    transport = LocalTransport(lab_at(tmp_path / "home"))
    for script in ("yes", "printf '['; cat /dev/zero | tr '\\0' '['", "yes >&2"):
        Path(site.guest).write_text(script)
        with pytest.raises(LabError, match="printed more than"):
            drive.call(transport, site, Deadline.after(60), "facts")
    Path(site.guest).write_text(f"echo '{'[' * 50_000}'")
    with pytest.raises(LabError, match="the guest half failed"):
        drive.call(transport, site, Deadline.after(60), "facts")


def test_the_packer_needs_nothing_but_itself() -> None:
    source = (Path(drive.__file__).parent.parent / "guest/run/pack.py").read_text()
    assert "import lab" not in source
    assert "from lab" not in source
