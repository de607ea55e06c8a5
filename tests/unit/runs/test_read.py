"""Reading a run directory that somebody else wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lab.guest.wire import WireError
from lab.model.errors import FetchError
from lab.runs.read import Caps, read
from tests.unit.report import synthetic

FORMS = {name: synthetic.FORMS[name] for name in ("baseline", "ebpf")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return synthetic.write(tmp_path / "run", requests=20, forms=FORMS)


def test_a_whole_run(root: Path) -> None:
    run = read(root)
    assert (run.outcome, run.problems) == ("complete", ())
    assert {cell.cell.form for cell in run.cells} == {"baseline", "ebpf"}
    assert {(proof.block, proof.attempt) for proof in run.canaries} == {(1, 1)}
    ebpf = next(cell for cell in run.cells if cell.cell.form == "ebpf")
    assert len(list(ebpf.requests())) == len(list(ebpf.requests())) == 20
    assert sum(1 for _ in ebpf.spans()) == ebpf.cell.spans_total
    assert run.form("ebpf").title == "OpenTelemetry Go agent (eBPF)"
    assert run.host_events[0].event.__class__.__name__ == "StepStarted"


def test_no_plan_is_no_run(root: Path) -> None:
    (root / "guest/plan.json").unlink()
    with pytest.raises(FetchError, match=r"guest/plan.json cannot be read"):
        read(root)


def test_a_broken_cell_is_a_problem_not_the_end(root: Path) -> None:
    cell = next((root / "guest/cells").glob("*baseline*")) / "cell.json"
    cell.write_text('{"id": 7}', encoding="utf-8")
    run = read(root)
    assert [c.cell.form for c in run.cells] == ["ebpf"]
    assert any("cell.json cannot be read" in problem for problem in run.problems)


def test_an_unsealed_folder_is_incomplete(root: Path) -> None:
    (root / "guest/manifest.json").unlink()
    run = read(root)
    assert run.outcome == "incomplete"
    assert run.problems == ("manifest.json is missing in guest/",)


def test_links_are_refused(root: Path) -> None:
    (root / "guest/innocent.json").symlink_to("/etc/hostname")
    with pytest.raises(FetchError, match="neither a file nor a folder"):
        read(root)


def test_too_many_files_are_refused(root: Path) -> None:
    with pytest.raises(FetchError, match="more than 3 files"):
        read(root, caps=Caps(files=3))


def test_a_document_beyond_its_cap_is_not_read(root: Path) -> None:
    with pytest.raises(FetchError, match="larger than 10 bytes"):
        read(root, caps=Caps(document_bytes=10))


def test_a_bomb_stops_at_the_cap(root: Path) -> None:
    spans = next((root / "guest/cells").glob("*ebpf*")) / "spans.jsonl.gz"
    with gzip.open(spans, "wb") as out:
        out.write(b"a" * 4_000_000)
    cell = next(c for c in read(root, caps=Caps(line_bytes=1000)).cells if c.cell.form == "ebpf")
    with pytest.raises(ValueError, match="larger than any run writes"):
        list(cell.spans())


def test_a_torn_stream_is_told(root: Path) -> None:
    rows = next((root / "guest/cells").glob("*ebpf*")) / "requests.csv.gz"
    rows.write_bytes(rows.read_bytes()[:-12])
    cell = next(c for c in read(root).cells if c.cell.form == "ebpf")
    with pytest.raises(WireError, match="torn"):
        list(cell.requests())


def test_other_columns_are_told(root: Path) -> None:
    rows = next((root / "guest/cells").glob("*ebpf*")) / "requests.csv.gz"
    with gzip.open(rows, "wt", encoding="utf-8") as out:
        out.write("when,what\n")
    cell = next(c for c in read(root).cells if c.cell.form == "ebpf")
    with pytest.raises(WireError, match="columns are"):
        list(cell.requests())


def test_unknown_keys_of_a_newer_writer_are_ignored(root: Path) -> None:
    doc = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    doc["forms"][0]["carbon_g"] = 3
    (root / "manifest.json").write_text(json.dumps({**doc, "moon": "full"}), encoding="utf-8")
    assert read(root).manifest.scenario == "shop"


def test_a_torn_last_line_of_the_log_is_skipped(root: Path) -> None:
    log = root / "host-events.jsonl"
    whole = len(read(root).host_events)
    log.write_text(log.read_text(encoding="utf-8") + '{"seq": 99, "at"', encoding="utf-8")
    run = read(root)
    assert (len(run.host_events), run.problems) == (whole, ())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("manifest.json", '"host": {', '"host": [], "was": {'),
        ("manifest.json", '"seed": ', '"seed": "x", "was": '),
        ("manifest.json", '"forms": [', '"forms": [[], '),
        ("manifest.json", '"run_id": "', '"run_id": "\\ud800'),
        ("manifest.json", '"threshold_pct": {', '"threshold_pct": {"latency_p50_ms": NaN, '),
        ("guest/plan.json", '"run_id": "', '"run_id": "\\udc00'),
    ],
)
def test_a_wrong_kind_of_value_is_no_run(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new, 1))
    with pytest.raises(FetchError, match="cannot be read"):
        read(root)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"\\ud800"', "[" * 100_000])
def test_a_value_that_could_not_be_written_again_is_a_problem(root: Path, value: str) -> None:
    cell = next((root / "guest" / "cells").glob("*/cell.json"))
    doc = json.loads(cell.read_text())
    cell.write_text(json.dumps(doc | {"rate_rps": "HERE"}).replace('"HERE"', value))
    run = read(root)
    assert len(run.cells) == 1
    assert "cell.json cannot be read" in run.problems[0]
