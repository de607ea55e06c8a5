"""Results from a machine are hostile until proven whole; what is there is not sent again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import FileEntry, GuestManifest, dump
from lab.model.config import Config
from lab.model.errors import FetchError, SecurityStop, TransientError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.paths import Paths
from lab.remote.localhost import LocalTransport
from lab.runs.fetch import fetch
from lab.system.pumps import Sink
from lab.system.wait import Deadline


class Cut(LocalTransport):
    """The real local transport, whose line is cut after `allowed` bytes, and which counts what it sent."""

    allowed = 10**12
    sent = 0

    def pipe(self, argv: Sequence[str], deadline: Deadline, *, out: Sink, **others: Any) -> int:
        left = self.allowed

        def cut(chunk: bytes) -> None:
            nonlocal left
            part = chunk[:left]
            left -= len(part)
            self.sent += len(part)
            out(part)
            if len(part) < len(chunk):
                raise TransientError("cut", fix="again")

        return super().pipe(argv, deadline, out=cut, **others)


@pytest.fixture
def transport(tmp_path: Path) -> Cut:
    lab = Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus(), cancel=threading.Event())
    return Cut(lab)


def entry(path: str, data: bytes = b"x", **change: object) -> FileEntry:
    values = {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **change}
    return FileEntry(**values)  # type: ignore[arg-type]  # keys of FileEntry


def seal(folder: Path, *entries: FileEntry) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = GuestManifest(run_id="r", plan_digest="d", boot_id="b", cells=(), files=entries, outcome="complete")
    (folder / "manifest.json").write_text(dump(manifest))


def get(transport: LocalTransport, source: Path, target: Path) -> GuestManifest:
    return fetch(transport, str(source), target, Deadline.after(30), progress=lambda done, total: None)


def sample(folder: Path) -> dict[str, bytes]:
    files = {"a.json": b"{}", "cells/01/spans.jsonl.gz": bytes(range(256)) * 4000, "empty": b""}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    seal(folder, *(entry(name, data) for name, data in files.items()))
    return files


def test_whole_and_only_once(transport: Cut, tmp_path: Path) -> None:
    files = sample(tmp_path / "src")
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert {name: (tmp_path / "dst" / name).read_bytes() for name in files} == files
    sent = transport.sent
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert transport.sent - sent < 1000, "the manifest alone"
    assert not list((tmp_path / "dst").rglob("*.part"))


def test_a_cut_line_goes_on_where_it_was(transport: Cut, tmp_path: Path) -> None:
    files = sample(tmp_path / "src")
    transport.allowed = 300_000
    rounds = 0
    while True:
        rounds += 1
        try:
            get(transport, tmp_path / "src", tmp_path / "dst")
            break
        except FetchError as error:
            assert error.exit_code == 7
    assert rounds == 4
    again = transport.sent - sum(map(len, files.values()))
    assert 0 < again < 4 * 1500, "each round sends the manifest, and no byte of a file twice"


def test_a_changed_file_is_found(transport: Cut, tmp_path: Path) -> None:
    sample(tmp_path / "src")
    (tmp_path / "src" / "a.json").write_bytes(b"[]")
    with pytest.raises(FetchError, match=r"a\.json differs from its manifest"):
        get(transport, tmp_path / "src", tmp_path / "dst")
    assert not (tmp_path / "dst" / "a.json").exists()


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../b",
        "",
        ".",
        "a//b",
        "CON",
        "aux.txt",
        "a\\b",
        "a\nb",
        ".hidden",
        "x" * 400,
        "nul.",
        "a b",
    ],
)
def test_no_path_leaves_the_folder(transport: Cut, tmp_path: Path, path: str) -> None:
    seal(tmp_path / "src", entry(path))
    with pytest.raises(SecurityStop) as error:
        get(transport, tmp_path / "src", tmp_path / "dst")
    assert error.value.exit_code == 9
    assert not (tmp_path / "dst").exists()


@pytest.mark.parametrize(
    "entries",
    [
        (entry("a"), entry("A")),
        (entry("a", size=1 << 40),),
        (entry("a", size=-1),),
        (entry("a", sha256="zz"),),
        tuple(entry(f"f{i}") for i in range(20_001)),
        tuple(entry(f"f{i}", size=3 << 30) for i in range(6)),
    ],
)
def test_caps_and_clashes(transport: Cut, tmp_path: Path, entries: tuple[FileEntry, ...]) -> None:
    seal(tmp_path / "src", *entries)
    with pytest.raises(SecurityStop):
        get(transport, tmp_path / "src", tmp_path / "dst")


def test_a_link_in_the_way_is_not_followed(transport: Cut, tmp_path: Path) -> None:
    sample(tmp_path / "src")
    outside = tmp_path / "outside"
    outside.write_bytes(b"{}")
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst" / "a.json").symlink_to(outside)
    get(transport, tmp_path / "src", tmp_path / "dst")
    assert not (tmp_path / "dst" / "a.json").is_symlink()
    assert outside.read_bytes() == b"{}"


@pytest.mark.parametrize("seal", ["{", None])
def test_not_sealed_is_told_with_what_seals_it(transport: Cut, tmp_path: Path, seal: str | None) -> None:
    """To fetch it again would fail in the same way for ever: nobody works on the rest of the run."""
    (tmp_path / "src").mkdir()
    if seal is not None:
        (tmp_path / "src" / "manifest.json").write_text(seal)
    with pytest.raises(FetchError, match="not sealed") as error:
        get(transport, tmp_path / "src", tmp_path / "dst")
    assert error.value.fix == "run lab demo again to resume"


def test_what_another_try_brought_does_not_stay(transport: Cut, tmp_path: Path) -> None:
    files = sample(tmp_path / "src")
    (tmp_path / "dst" / "cells" / "09-gone").mkdir(parents=True)
    (tmp_path / "dst" / "cells" / "09-gone" / "cell.json").write_text("{}")
    (tmp_path / "dst" / "half.part").write_text("x")
    get(transport, tmp_path / "src", tmp_path / "dst")
    left = {p.relative_to(tmp_path / "dst").as_posix() for p in (tmp_path / "dst").rglob("*") if p.is_file()}
    assert left == {*files, "manifest.json"}
