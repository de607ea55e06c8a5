"""A run that was sealed with values that no run has: each is named, and none costs time, memory or a wrong word."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.cli.verbs.runs import _line, _row
from lab.flows import report as flow
from lab.guest.wire import DEEPEST, MOST_NODES, GuestRecord
from lab.model.errors import ConfigError, FetchError, Unreadable
from lab.model.loading.load_service import load_reference
from lab.model.summary_form import FormProof
from lab.report.timeline import _ticks
from lab.runs.read import read
from lab.system import documents
from lab.verdict import summarize
from tests.support import lab_at
from tests.unit.report import synthetic
from tests.unit.runs.changed import cell, change, told

NO_REASON = "the proof failed without a reason from the guest half"


def canaries(root: Path, form: str = "ebpf") -> list[Path]:
    return sorted((root / "guest/lives").glob(f"*{form}*/canary.json"))


# --- proofs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_failed_proof_without_a_reason_is_a_failed_proof(root: Path, reason: str) -> None:
    change(canaries(root)[0], ok=False, reason=reason, requests=[])
    summary = summarize(read(synthetic.seal(root)))
    assert summary.unproven == {"ebpf": NO_REASON}
    assert summary.forms["ebpf"].proof == FormProof(ok=False, reason=NO_REASON, gaps="")


@pytest.mark.parametrize("data", [{}, {"reason": None}, {"reason": ""}])
def test_a_record_of_a_failed_proof_without_a_reason(root: Path, data: dict[str, Any]) -> None:
    run = read(root)
    record = GuestRecord(seq=1, at_ns=1, boot_id="b", kind="proof", data={"form": "ebpf", "ok": False, **data})
    assert summarize(replace(run, records=(record,))).unproven == {"ebpf": NO_REASON}


def test_a_proof_that_rests_on_no_request_is_none(root: Path) -> None:
    for form in ("ebpf", "baseline"):
        change(canaries(root, form)[0], requests=[])
    summary = summarize(read(synthetic.seal(root)))
    assert summary.unproven == {"ebpf": "the proof has no request"}  # the baseline's need not see a span
    assert summary.forms["ebpf"].proof.ok is False


def test_a_form_with_cells_and_without_a_proof_is_a_problem(root: Path) -> None:
    for path in canaries(root):
        path.unlink()
    assert told(root) == ["this run has no proof of ebpf"]


def test_an_empty_reason_of_a_cell_is_no_reason(root: Path) -> None:
    change(cell(root) / "cell.json", valid=False, reasons=["", " "])
    summary = summarize(read(synthetic.seal(root)))
    assert all(
        why == "no valid cell of ebpf (the guest half marked it invalid without a missed gate)"
        for why in summary.forms["ebpf"].absent.values()
    )
    assert [each.reasons for each in summary.timeline if each.form == "ebpf"] == [()]


# --- bounds ----------------------------------------------------------------------------------------------------------


def node(index: int, parent: str) -> dict[str, Any]:
    return {"id": f"n{index}", "kind": "internal", "family": "http", "match": "*", "parent": parent}


WRONG_TREES = {
    "deep": (
        [node(i, f"n{i - 1}" if i else "") for i in range(MOST_NODES)],
        f"[{DEEPEST}].parent: the spans of browse are nested more than 32 deep",
    ),
    "many": ([node(i, "") for i in range(MOST_NODES + 1)], f"[{MOST_NODES}].id: browse has 501 spans; at most 500"),
    "unknown": ([node(0, "n7")], "[0].parent: 'n7' is not the id of an earlier span of browse"),
    "cyclic": ([node(0, "n1"), node(1, "n0")], "[0].parent: 'n1' is not the id of an earlier span"),
    "twice": ([node(0, ""), node(1, "n0"), node(0, "n1")], "[2].id: 'n0' is the id of an earlier span"),
}


@pytest.mark.parametrize("kind", WRONG_TREES)
def test_a_reference_that_would_take_for_ever_is_refused(root: Path, tmp_path: Path, kind: str) -> None:
    nodes, why = WRONG_TREES[kind]
    doc = json.loads((root / "guest/plan.json").read_text())
    change(root / "guest/plan.json", reference={**doc["reference"], "browse": nodes})
    began = time.process_time()
    with pytest.raises(Unreadable) as caught:
        read(synthetic.seal(root))
    assert f"guest/plan.json cannot be read: reference.browse{why}" in caught.value.message
    own = tmp_path / "reference-spans.yaml"
    rows = [json.dumps({key: value for key, value in each.items() if value}) for each in nodes]
    own.write_text("schema: 1\nrequests:\n  browse:\n" + "".join(f"    - {row}\n" for row in rows))
    with pytest.raises(ConfigError) as refused:
        load_reference(own)
    at = int(why[1 : why.index("]")])
    assert f"reference-spans.yaml:{at + 4}:" in refused.value.message
    assert why.partition(": ")[2] in refused.value.message
    assert time.process_time() - began < 5


def test_a_window_of_centuries_has_few_ticks(root: Path) -> None:
    change(cell(root) / "cell.json", window_start_ns=-(1 << 63), window_end_ns=(1 << 64) - 1)
    assert told(root) == []
    assert all(len(_ticks(end)) <= 10 for end in (0.5, 86400 * 8.5, 3e10, 1e300))


def test_a_window_that_ends_before_it_starts_is_no_cell(root: Path) -> None:
    change(cell(root) / "cell.json", window_start_ns=2, window_end_ns=1)
    (problem,) = told(root)
    assert "cell.json cannot be read: window_end_ns: the window ends before it starts (2)" in problem


def test_a_log_of_more_than_32_mib_is_not_kept(root: Path) -> None:
    line = (root / "host-events.jsonl").read_bytes().splitlines(keepends=True)[0]
    padded = line.rstrip(b"\n") + b" " * (1 << 20) + b"\n"
    (root / "host-events.jsonl").write_bytes(padded * 33)
    (problem,) = told(root)
    assert f"host-events.jsonl:32 cannot be read: more than {documents.LOG.size} bytes" in problem


# --- names and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", flow.WRITTEN)
def test_a_folder_in_the_place_of_the_report_is_named_before_a_file_is_written(root: Path, name: str) -> None:
    (root / name).mkdir()
    before = sorted(root.iterdir())
    with pytest.raises(FetchError) as caught:
        flow.write(lab_at(root.parent / "home"), root)
    assert caught.value.fix == f"remove {root / name}"
    assert sorted(root.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("name", [b"a\x1b[2J", b"a\nb  fast  full", b"a\xff"])
def test_the_name_of_a_run_stays_on_its_line(root: Path, name: bytes) -> None:
    runs = root.parent / "home" / "runs"
    runs.mkdir(parents=True)
    odd = runs / os.fsdecode(name)
    doc = json.loads((root / "guest/plan.json").read_text())
    doc["forms"]["eb\npf\x1b"] = doc["forms"].pop("ebpf")
    shutil.copytree(root, odd)
    (odd / "guest/plan.json").write_text(json.dumps(doc))
    assert documents.shown_path(_line(_row(odd))).isprintable()
    with pytest.raises(FetchError) as caught:
        read(odd)  # the plan is not as it was sealed
    assert caught.value.message.isprintable()
    done = flow.write(lab_at(root.parent / "home"), synthetic.seal(odd))
    assert all(line.isprintable() for line in done.lines)
    assert any("eb\\npf\\x1b" in line for line in done.lines)


def test_a_folder_in_the_place_of_a_manifest_is_listed_with_its_problem(root: Path) -> None:
    lab = lab_at(root.parent / "home")
    (lab.paths.runs / "one" / "manifest.json").mkdir(parents=True)
    (folder,) = flow.complete(lab.paths)
    assert _line(_row(folder)) == "one  manifest.json cannot be read: not a regular file"
