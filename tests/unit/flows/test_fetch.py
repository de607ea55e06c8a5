"""A run brought home by hand: copies are verified, whole or absent."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from lab.flows.fetch import fetch
from lab.model.errors import FetchError, UsageError
from lab.model.lab import Lab
from lab.model.paths import INCOMPLETE_PREFIX, MANIFEST_FILE, PLAN_FILE
from lab.runs import sealed
from tests.support import lab_at

FILES = {"report.html": b"<p>", "guest/cells/01/spans.jsonl.gz": bytes(range(256))}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A home with two sealed runs."""
    lab = lab_at(tmp_path / "home")
    for run_id in ("20260101-a", "20260102-b"):
        folder = lab.paths.run(run_id)
        for name, data in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
        files = [{"path": name, "size": len(FILES[name]), "sha256": digest} for name, digest in digests.items()]
        (folder / MANIFEST_FILE).write_text(json.dumps({"files": files}))
    return lab


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_the_newest_or_the_named_run_is_found(lab: Lab) -> None:
    assert fetch(lab, None, None) == lab.paths.run("20260102-b")
    assert fetch(lab, "20260101", None) == lab.paths.run("20260101-a")


def test_no_such_run_names_the_nearest(lab: Lab) -> None:
    with pytest.raises(UsageError, match="did you mean '20260101-a'"):
        fetch(lab, "20260101-x", None)
    with pytest.raises(UsageError, match="ambiguous"):
        fetch(lab, "2026", None)


def test_a_copy_is_whole_and_can_be_made_again(lab: Lab, tmp_path: Path) -> None:
    copy = fetch(lab, None, tmp_path / "to" / "deep")
    assert copy == tmp_path / "to" / "deep" / "20260102-b"
    assert content(copy) == FILES
    (copy / "report.html").write_bytes(b"changed here")
    assert fetch(lab, None, tmp_path / "to" / "deep") == copy
    assert content(copy) == FILES
    assert [path.name for path in copy.parent.iterdir()] == ["20260102-b"]


def test_a_run_that_changed_since_it_was_sealed_is_not_copied(lab: Lab, tmp_path: Path) -> None:
    (lab.paths.run("20260102-b") / "report.html").write_bytes(b"other")
    with pytest.raises(FetchError, match=r"20260102-b: changed since it was sealed: report\.html"):
        fetch(lab, None, tmp_path / "to")
    assert not (tmp_path / "to" / "20260102-b").exists()


def test_a_good_copy_survives_a_bad_one(lab: Lab, tmp_path: Path) -> None:
    copy = fetch(lab, None, tmp_path / "to")
    (lab.paths.run("20260102-b") / "report.html").write_bytes(b"other")
    with pytest.raises(FetchError):
        fetch(lab, None, tmp_path / "to")
    assert content(copy) == FILES


def test_a_copy_goes_neither_into_the_run_nor_through_a_link(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is inside the run"):
        fetch(lab, None, lab.paths.run("20260102-b") / "sub")
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "20260102-b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a symbolic link"):
        fetch(lab, None, tmp_path / "to")
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_told(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match="cannot write") as caught:
        fetch(lab, None, tmp_path / "file" / "below")
    assert "--to" in caught.value.fix


def test_the_rest_of_a_cut_run_needs_its_machine(lab: Lab) -> None:
    folder = lab.paths.runs / f"{INCOMPLETE_PREFIX}20260103-c"
    folder.mkdir()
    assert fetch(lab, None, None) == lab.paths.run("20260102-b"), "it has no plan: it is just beginning"
    (folder / PLAN_FILE).write_text("{}")
    with pytest.raises(UsageError, match="the rest of the run is lost") as caught:
        fetch(lab, None, None)
    assert caught.value.fix == "lab demo"


@pytest.mark.parametrize("files", [None, [1], [{"path": "../x", "size": 0, "sha256": "0"}], [{"path": "none"}], "x"])
def test_a_manifest_that_leads_elsewhere_is_not_followed(lab: Lab, tmp_path: Path, files: object) -> None:
    (lab.paths.run("20260102-b") / MANIFEST_FILE).write_text(json.dumps({"files": files}))
    with pytest.raises(FetchError, match=r"cannot be read|changed since it was sealed"):
        fetch(lab, None, tmp_path / "to")
    assert not (tmp_path / "to" / "20260102-b").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Wine's links are none to Python")
def test_a_link_in_a_run_brings_no_other_file_along(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("dear")
    (lab.paths.run("20260102-b") / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(FetchError, match="link"):
        fetch(lab, None, tmp_path / "to")
    assert not (tmp_path / "to" / "20260102-b").exists()


def test_a_folder_with_files_of_others_is_kept_as_it_is(lab: Lab, tmp_path: Path) -> None:
    copy = fetch(lab, None, tmp_path / "to")
    (copy / "guest" / "my-notes.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"20260102-b has files of others: guest.my-notes\.txt") as caught:
        fetch(lab, None, tmp_path / "to")
    assert "--to" in caught.value.fix
    assert (copy / "guest" / "my-notes.txt").read_text() == "dear"
    assert [path.name for path in copy.parent.iterdir()] == ["20260102-b"]


def test_another_run_or_a_folder_without_manifest_is_kept(lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "to" / "20260102-b"
    target.mkdir(parents=True)
    assert fetch(lab, None, tmp_path / "to") == target, "it was empty"
    (target / MANIFEST_FILE).write_text("{}")
    with pytest.raises(UsageError, match="20260102-b is not a copy of this run"):
        fetch(lab, None, tmp_path / "to")
    (target / MANIFEST_FILE).unlink()
    with pytest.raises(UsageError, match="20260102-b is not a copy of this run"):
        fetch(lab, None, tmp_path / "to")
    assert (target / "report.html").read_bytes() == FILES["report.html"]


def test_a_copy_with_reports_of_an_earlier_lab_is_replaced(lab: Lab, tmp_path: Path) -> None:
    copy = fetch(lab, None, tmp_path / "to")
    (copy / "figure-latency-old.svg").write_text("")
    (copy / "summary.json").write_text("")
    assert fetch(lab, None, tmp_path / "to") == copy
    assert not (copy / "figure-latency-old.svg").exists()
    assert not (copy / "summary.json").exists()


def test_a_file_at_the_place_of_the_copy_is_told(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "20260102-b").write_text("dear")
    with pytest.raises(UsageError, match="20260102-b is not a folder"):
        fetch(lab, None, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["20260102-b"]
    assert (tmp_path / "to" / "20260102-b").read_text() == "dear"


def test_a_copy_that_fails_leaves_no_part_behind(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, checked = sealed.check, list[Path]()

    def check(root: Path) -> object:
        checked.append(root)
        if len(checked) > 1:
            raise FetchError("damaged", fix="")
        return whole(root)

    monkeypatch.setattr(sealed, "check", check)
    with pytest.raises(FetchError, match="damaged"):
        fetch(lab, None, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
