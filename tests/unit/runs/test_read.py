"""Reading a run directory that somebody else wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lab.model.errors import FetchError, Newer, Unreadable
from lab.runs.read import read
from lab.system.documents import Rows
from tests.unit.report import synthetic
from tests.unit.runs.changed import cell, told


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
    assert run.machine.lockdown == "none"


def test_no_plan_is_no_run(root: Path) -> None:
    (root / "guest/plan.json").unlink()
    with pytest.raises(Unreadable, match=r"run/guest/plan.json cannot be read: no such file"):
        read(synthetic.seal(root))


def test_a_broken_cell_is_a_problem_not_the_end(root: Path) -> None:
    (cell(root, "baseline") / "cell.json").write_text('{"id": 7}', encoding="utf-8")
    run = read(synthetic.seal(root))
    assert [c.cell.form for c in run.cells] == ["ebpf"]
    assert run.problems[0].endswith("cell.json cannot be read: id: a string is expected, not 7")


def test_an_unsealed_folder_is_incomplete(root: Path) -> None:
    (root / "guest/manifest.json").unlink()
    run = read(synthetic.seal(root))
    assert run.outcome == "incomplete"
    assert run.problems == ("manifest.json is missing in guest/",)


def test_links_are_refused(root: Path) -> None:
    (root / "guest/innocent.json").symlink_to("/etc/hostname")
    with pytest.raises(FetchError, match="neither a file nor a folder"):
        read(root)


def test_too_many_files_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.runs import sealed

    monkeypatch.setattr(sealed, "MAX_FILES", 3)
    with pytest.raises(FetchError, match="more than 3 files"):
        read(root)


def test_a_bomb_stops_at_the_limit(root: Path) -> None:
    with gzip.open(cell(root) / "spans.jsonl.gz", "wb") as out:
        out.write(b"a" * 4_000_000)
    found = next(c for c in read(synthetic.seal(root), rows=Rows(line=1000)).cells if c.cell.form == "ebpf")
    with pytest.raises(Unreadable, match=r"spans.jsonl.gz:1 cannot be read: a line of more than 1000 bytes"):
        list(found.spans())


def test_a_torn_stream_is_told(root: Path) -> None:
    rows = cell(root) / "requests.csv.gz"
    rows.write_bytes(rows.read_bytes()[:-12])
    assert any("requests.csv.gz" in text and "truncated or damaged" in text for text in told(root))


def test_unknown_keys_of_a_newer_writer_are_ignored(root: Path) -> None:
    doc = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    doc["forms"][0]["carbon_g"] = 3
    (root / "manifest.json").write_text(json.dumps({**doc, "moon": "full"}), encoding="utf-8")
    assert read(synthetic.seal(root)).manifest.scenario == "shop"


def test_a_torn_last_line_of_the_log_is_skipped(root: Path) -> None:
    log = root / "host-events.jsonl"
    whole = len(read(root).host_events)
    log.write_text(log.read_text(encoding="utf-8") + '{"seq": 99, "at"', encoding="utf-8")
    run = read(synthetic.seal(root))
    assert (len(run.host_events), run.problems) == (whole, ())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("manifest.json", '"host": {', '"host": [], "was": {'),
        ("manifest.json", '"seed": ', '"seed": "x", "was": '),
        ("manifest.json", '"seed": ', '"seed": 3e0, "was": '),
        ("manifest.json", '"forms": [', '"forms": [[], '),
        ("manifest.json", '"run_id": "', '"run_id": "\\ud800'),
        ("manifest.json", '"run_id": "', '"run_id": "\\uD800'),
        ("manifest.json", '"run_id": "', '"run_id": "twice", "run_id": "'),
        ("manifest.json", '"guest": {', '"guest": {"clock_behind_s": "never", '),
        ("manifest.json", '"guest": {', '"guest": {"kernel": [], '),
        ("manifest.json", '"guest": {', f'"guest": {{"deep": {"[" * 40}{"]" * 40}, '),
        ("manifest.json", '"threshold_pct": {', '"threshold_pct": {"latency_p50_ms": NaN, '),
        ("manifest.json", '"threshold_pct": {', '"threshold_pct": {"latency_p50_ms": 1e300, '),
        ("guest/plan.json", '"run_id": "', '"run_id": "\\udc00'),
    ],
)
def test_a_wrong_kind_of_value_is_no_run(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new, 1))
    with pytest.raises(Unreadable, match=f"run/{name}.* cannot be read"):
        read(root if name == "manifest.json" else synthetic.seal(root))


@pytest.mark.parametrize("name", ["manifest.json", "guest/plan.json", "guest/manifest.json"])
def test_a_newer_schema_is_refused_by_name(root: Path, name: str) -> None:
    """Its keys may mean something else, so nothing of it is judged."""
    doc = json.loads((root / name).read_text(encoding="utf-8"))
    doc |= {"schema": 2, "seed": "other"}
    if name == "manifest.json":
        doc["lab_version"] = "9.9.0"
    (root / name).write_text(json.dumps(doc), encoding="utf-8")
    by = r"lab 9\.9\.0" if name == "manifest.json" else "a newer lab"
    with pytest.raises(Newer, match=rf"run/{name} cannot be read: {by} wrote it with schema 2; .* up to 1") as caught:
        read(synthetic.seal(root))
    assert caught.value.fix == "update lab"


@pytest.mark.parametrize("name", ["manifest.json", "guest/plan.json", "guest/manifest.json"])
@pytest.mark.parametrize("schema", [None, 0, 1])
def test_an_older_schema_is_read(root: Path, name: str, schema: int | None) -> None:
    doc = json.loads((root / name).read_text(encoding="utf-8"))
    doc.pop("schema", None)
    doc |= {} if schema is None else {"schema": schema}
    (root / name).write_text(json.dumps(doc), encoding="utf-8")
    assert read(synthetic.seal(root)).outcome == "complete"
