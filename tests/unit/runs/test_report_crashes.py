"""The cases report-crashes: small changes of a run, each of which ended lab report as a bug once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.flows import report as flow
from tests.support import lab_at
from tests.unit.runs.changed import cell, change, told


def test_report_crashes_a_document_beyond_its_limit(root: Path) -> None:
    (cell(root) / "cell.json").write_bytes(b" " * (17 << 20))
    (root / "guest/facts.json").write_text("[" + "1," * 1_000_000 + "1]")
    problems = told(root)
    assert any("cell.json cannot be read: larger than 16777216 bytes" in text for text in problems)
    assert any("facts.json cannot be read: more than 1000000 values" in text for text in problems)


def test_report_crashes_more_spans_than_are_read(root: Path) -> None:
    """One error about the limit, before one span of it was kept."""
    line = gzip.decompress((cell(root) / "spans.jsonl.gz").read_bytes()).splitlines(keepends=True)[0]
    with gzip.open(cell(root) / "spans.jsonl.gz", "wb", compresslevel=1) as out:
        for _ in range(300):
            out.write(line * ((1 << 20) // len(line) + 1))
    assert any("spans.jsonl.gz" in text and "more than 500000 lines" in text for text in told(root))


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
        (b"when,what\n", ":1: the columns are when, what"),
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
