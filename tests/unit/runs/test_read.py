"""Reading a run directory that somebody else wrote. The cases report-crashes: each ended as a bug once."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import report, verdict
from lab.flows import report as flow
from lab.model.errors import FetchError, Unreadable
from lab.runs.read import read
from lab.system.documents import Rows
from tests.support import lab_at
from tests.unit.report import synthetic

FORMS = {name: synthetic.FORMS[name] for name in ("baseline", "ebpf")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return synthetic.write(tmp_path / "run", requests=20, forms=FORMS)


def change(path: Path, **values: Any) -> None:
    """Other values in a JSON document, sealed: the machine wrote it so."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def cell(root: Path, form: str = "ebpf") -> Path:
    return next((root / "guest/cells").glob(f"*{form}*"))


def told(root: Path) -> list[str]:
    """The problems of a sealed run, after every word of its report was written."""
    summary = verdict.summarize(read(synthetic.seal(root)))
    json.dumps(summary, allow_nan=False).encode()
    for write in (report.html, report.markdown, report.junit):
        write(summary).encode()
    return list(summary["problems"])


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


def test_report_crashes_a_document_beyond_its_limit(root: Path) -> None:
    (cell(root) / "cell.json").write_bytes(b" " * (17 << 20))
    (root / "guest/facts.json").write_text("[" + "1," * 1_000_000 + "1]")
    problems = told(root)
    assert any("cell.json cannot be read: larger than 16777216 bytes" in text for text in problems)
    assert any("facts.json cannot be read: more than 1000000 values" in text for text in problems)


def test_a_bomb_stops_at_the_limit(root: Path) -> None:
    with gzip.open(cell(root) / "spans.jsonl.gz", "wb") as out:
        out.write(b"a" * 4_000_000)
    found = next(c for c in read(synthetic.seal(root), rows=Rows(line=1000)).cells if c.cell.form == "ebpf")
    with pytest.raises(Unreadable, match=r"spans.jsonl.gz:1 cannot be read: a line of more than 1000 bytes"):
        list(found.spans())


def test_report_crashes_more_spans_than_are_read(root: Path) -> None:
    """One error about the limit, before one span of it was kept."""
    line = gzip.decompress((cell(root) / "spans.jsonl.gz").read_bytes()).splitlines(keepends=True)[0]
    with gzip.open(cell(root) / "spans.jsonl.gz", "wb", compresslevel=1) as out:
        for _ in range(300):
            out.write(line * ((1 << 20) // len(line) + 1))
    assert any("spans.jsonl.gz" in text and "more than 500000 lines" in text for text in told(root))


def test_a_torn_stream_is_told(root: Path) -> None:
    rows = cell(root) / "requests.csv.gz"
    rows.write_bytes(rows.read_bytes()[:-12])
    assert any("requests.csv.gz" in text and "torn" in text for text in told(root))


def test_unknown_keys_of_a_newer_writer_are_ignored(root: Path) -> None:
    doc = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    doc["forms"][0]["carbon_g"] = 3
    (root / "manifest.json").write_text(json.dumps({**doc, "moon": "full"}), encoding="utf-8")
    assert read(root).manifest.scenario == "shop"


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


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "1e999", "1e300", "9" * 400, "9" * 5000, "true", "null", '"\\ud800"', "[" * 100_000],
)
def test_report_crashes_a_value_of_a_cell(root: Path, value: str) -> None:
    path = cell(root) / "cell.json"
    doc = json.loads(path.read_text())
    path.write_text(json.dumps(doc | {"rate_rps": "HERE"}).replace('"HERE"', value))
    problems = told(root)
    assert "cell.json" in problems[0]
    assert "cannot be read" in problems[0]


def test_report_crashes_a_file_that_is_no_utf_8(root: Path) -> None:
    (cell(root) / "cell.json").write_bytes(b'{"id":\n"\xff"}')
    assert any("cell.json:2 cannot be read: not UTF-8: byte 0xff" in text for text in told(root))


ROW = b"1,2,3,200,browse,r,\n"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (b"when,what\n", ":1: columns are when, what"),
        (ROW[:-6] + b"\n", ":2: 7 fields are expected, not"),
        (b"x" + ROW, ":2: intended_ns: an integer is expected"),
        ("٣,2,3,200,browse,r,\n".encode(), ":2: intended_ns: an integer is expected"),
        (b"9" * 300 + ROW, ":2: intended_ns: an integer is expected"),
        (b'1,2,3,200,"' + b"x" * 200_000 + b'",r,\n', ":2: field larger than field limit"),
        (b'1,2,3,200,"open\n', ": unexpected end of data"),
        (ROW + b"1,2,3,200,\xff,r,\n", ":3: not UTF-8"),
    ],
)
def test_report_crashes_request_rows(root: Path, rows: bytes, why: str) -> None:
    head = b"" if rows.startswith(b"when") else b"intended_ns,start_ns,end_ns,status,type,request_id,trace_id\n"
    (cell(root) / "requests.csv.gz").write_bytes(gzip.compress(head + rows))
    assert any("requests.csv.gz" in text and why in text for text in told(root))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["cell.json", "requests.csv.gz", "spans.jsonl.gz"])
@pytest.mark.parametrize("act", [empty, folder, Path.unlink])
def test_report_crashes_a_file_of_a_cell_that_is_none(root: Path, name: str, act: Callable[[Path], None]) -> None:
    act(cell(root) / name)
    told(root)


@pytest.mark.parametrize(
    "values",
    [
        {"window_start_ns": 0, "window_end_ns": 0, "window_s": 0.0},
        {"completed": 0, "scheduled": 0},
        {"spans_total": 0},
        {"block": 1 << 62, "attempt": 1 << 62},
        {"block": -1},
        {"level": "\u202e\N{SNOWMAN}" * 100, "id": "\x00\x1b[2J"},
        {"form": "nobody"},
        {"delay_ns": 1e18, "startup_s": -1e18, "sentinel_s": 5e-324, "steal_s": 1e18},
    ],
)
def test_report_crashes_odd_values_that_may_be(root: Path, values: dict[str, Any]) -> None:
    change(cell(root) / "cell.json", **values)
    told(root)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 5e-324, 1e-300, 0.1, 1e6, 1e15, 1e18])
def test_report_crashes_effects_beyond_every_axis(root: Path, seconds: float) -> None:
    """Honest data can have an effect beyond 250,000 per cent, and dishonest data beyond every float."""
    doc = json.loads((cell(root) / "cell.json").read_text())
    for row in doc["usage"]:
        row |= {"user_s": seconds, "rss_mib": seconds}
    change(cell(root) / "cell.json", usage=doc["usage"])
    told(root)


def test_report_crashes_canaries_without_end(root: Path) -> None:
    """traces: a canary of a form that the plan does not have; spans that are each other's parents."""
    path = next((root / "guest/lives").glob("*ebpf*/canary.json"))
    doc = json.loads(path.read_text())
    for request in doc["requests"]:
        for at, span in enumerate(request["spans"]):
            span["parent_id"] = request["spans"][at - 1]["span_id"]
    change(path, requests=doc["requests"])
    told(root)
    change(path, form="nobody")
    told(root)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        "[" * 100_000,
        '{"seq": []}',
        '{"seq": 1, "at": 1e400, "step": 0, "parent": 0, "event": "x", "data": {}}',
    ],
)
@pytest.mark.parametrize("name", ["host-events.jsonl", "guest/events.jsonl"])
def test_report_crashes_a_line_of_a_log(root: Path, name: str, line: str) -> None:
    with (root / name).open("a") as file:
        file.write(line + "\n")
    assert any(f"{name}:" in text for text in told(root))
    lab = lab_at(root.parent / "home")
    flow.write(lab, root)  # merges both logs


def test_report_crashes_steps_that_enclose_each_other(root: Path) -> None:
    lines = [json.loads(line) for line in (root / "host-events.jsonl").read_text().splitlines()]
    for doc in lines:
        doc["parent"] = doc["step"]
    (root / "host-events.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in lines))
    assert told(root) == []


# --- report-no-digest ------------------------------------------------------------------------------------------------


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
    return f"{path.relative_to(root).as_posix()} (another content)"


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
    change(root / "manifest.json", files=None, guest_manifest_sha256="")
    assert "names no files" in read(root).problems[0]
    bit(root)
    with pytest.raises(FetchError, match="another content"):
        read(root)
