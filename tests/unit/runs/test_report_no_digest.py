"""The case report-no-digest: a run whose files differ from its manifest gets no report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.flows import report as flow
from lab.model.errors import FetchError
from lab.runs.read import read
from tests.support import lab_at
from tests.unit.runs.changed import cell, change


def tenth(root: Path) -> str:
    """The case itself: a tenth of the CPU seconds of one cell."""
    path = cell(root) / "cell.json"
    doc = json.loads(path.read_text())
    for row in doc["usage"]:
        row |= {"user_s": row["user_s"] / 10, "system_s": row["system_s"] / 10}
    change(path, usage=doc["usage"])
    return f"{path.relative_to(root).as_posix()} ("


def bit(root: Path) -> str:
    path = cell(root) / "spans.jsonl.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return f"{path.relative_to(root).as_posix()} (different content)"


def gone(root: Path) -> str:
    (cell(root) / "cell.json").unlink()
    return "cell.json (missing)"


def more(root: Path) -> str:
    shutil.copytree(cell(root), root / "guest/cells/02-ebpf-one")
    return "guest/cells/02-ebpf-one/cell.json (not in the manifest)"


def log(root: Path) -> str:
    (root / "host-events.jsonl").write_text("")
    return "host-events.jsonl (0 bytes, not "


@pytest.mark.parametrize("act", [tenth, bit, gone, more, log])
def test_report_no_digest(root: Path, act: Callable[[Path], str]) -> None:
    """A run whose files differ from its manifest gets no report, and the files are named."""
    name = act(root)
    lab = lab_at(root.parent / "home")
    with pytest.raises(FetchError) as caught:
        flow.write(lab, root)
    assert caught.value.exit_code == 7
    assert name in caught.value.message
    assert not (root / "report.html").exists()


def test_report_no_digest_of_a_run_whose_manifest_names_no_files(root: Path) -> None:
    """An earlier version's: what the machine sealed is compared, and the report says that the rest is not."""
    from lab.guest.wire import FileEntry, GuestManifest, dump, load

    entries = json.loads((root / "manifest.json").read_text())["files"]
    sealed = load(GuestManifest, (root / "guest/manifest.json").read_text())
    inside = tuple(
        FileEntry(entry["path"].removeprefix("guest/"), entry["size"], entry["sha256"])
        for entry in entries
        if entry["path"].startswith("guest/") and entry["path"] != "guest/manifest.json"
    )
    text = dump(GuestManifest(sealed.run_id, sealed.plan_digest, "", sealed.cells, inside, "complete"))
    (root / "guest/manifest.json").write_text(text)
    change(root / "manifest.json", files=None, guest_manifest_sha256="", self_sha256="")
    assert "has no digest of its own" in read(root).problems[0]
    assert "lists no files" in read(root).problems[1]
    bit(root)
    with pytest.raises(FetchError, match="different content"):
        read(root)
