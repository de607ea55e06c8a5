"""What a demo of the default forms in the machine must give: every expected span, none where none belongs."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from lab.model.config import DemoConfig
from lab.model.summary import Summary
from tests.e2e.conftest import BLOCKS

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
INSTRUMENTED = ("orchestrion-otel", "ebpf")


def test_every_cell_is_valid(summary: Summary) -> None:
    planned = len(DemoConfig().forms) * (2 * BLOCKS + 1)  # two lives, and one block at the lower rate too
    assert summary.cells.valid == summary.cells.planned == planned, [c.missed for c in summary.timeline]


def test_compile_time_gives_the_whole_reference_with_every_parent(summary: Summary) -> None:
    form = summary.forms["orchestrion-otel"]
    assert form.coverage.received == form.coverage.reference
    assert (form.coverage.reference or 0) > 100
    assert form.coverage.parents_ok == 1.0
    assert form.conformance.ratio == 1.0
    assert form.conformance.missing == ()
    assert form.conformance.orphans == 0


def test_run_time_gives_all_that_it_is_known_to_give(summary: Summary) -> None:
    conformance = summary.forms["ebpf"].conformance
    assert (conformance.expected or 0) > 100
    assert (conformance.ratio or 0) >= 0.97, conformance.missing  # 100 % is what docs/benchmarks.md shows
    assert [row for row in conformance.missing if not row.cause] == [], "every loss has a cause"
    assert (summary.forms["ebpf"].attach_s or 0) > 0


@pytest.mark.parametrize("name", ["baseline", "twin"])
def test_forms_without_instrumentation_give_no_span(run_dir: Path, summary: Summary, name: str) -> None:
    form = summary.forms[name]
    assert form.conformance.received == 0
    files = list((run_dir / "guest/cells").glob(f"*-{name}-*/spans.jsonl.gz"))
    assert files
    for path in files:
        assert gzip.decompress(path.read_bytes()).strip() == b""


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_the_figures_are_those_of_the_raw_spans(run_dir: Path, name: str, summary: Summary) -> None:
    """Each request of the cell that got its answer has a server span of its own trace in the file."""
    cell = next(c for c in summary.timeline if c.form == name and c.valid)
    folder = (run_dir / str(cell.evidence)).parent
    with gzip.open(folder / "requests.csv.gz", "rt", encoding="utf-8", newline="") as file:
        requests = list(csv.DictReader(file))
    spans = [json.loads(line) for line in gzip.decompress((folder / "spans.jsonl.gz").read_bytes()).splitlines()]
    assert len(requests) == cell.completed
    roots = [span for span in spans if span["parent_id"] == "" and span["kind"] == "server"]
    assert len(roots) >= len(requests) * 0.95
    assert len({span["span_id"] for span in spans}) == len(spans)


def test_every_form_got_the_same_requests_in_the_same_order(run_dir: Path, summary: Summary) -> None:
    """In each block. Where instructions are counted they are sent in turn, so that an answer that is late makes the
    moments of the others late too."""
    sent: dict[tuple[int, str], set[tuple[str, ...]]] = {}
    for cell in summary.timeline:
        with gzip.open((run_dir / cell.evidence).parent / "requests.csv.gz", "rt", encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["intended_ns"]))
        sent.setdefault((cell.block, cell.level), set()).add(tuple(row["type"] for row in rows))
    assert len(sent) == 2 * BLOCKS + 1
    assert {len(unlike) for unlike in sent.values()} == {1}
    assert sent[1, "fast"] != sent[2, "fast"]


def test_nothing_changed_since_it_was_sealed(run_dir: Path) -> None:
    manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    sealed = json.loads((run_dir / "guest/manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"]
    for folder, entries in ((run_dir, manifest["files"]), (run_dir / "guest", sealed["files"])):
        for entry in entries:
            data = (folder / entry["path"]).read_bytes()
            assert len(data) == entry["size"], entry["path"]
            assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["path"]
    listed = {entry["path"] for entry in sealed["files"]} | {"manifest.json"}
    assert {
        p.relative_to(run_dir / "guest").as_posix() for p in (run_dir / "guest").rglob("*") if p.is_file()
    } == listed


def test_what_it_was_made_with_is_told(run_dir: Path, summary: Summary) -> None:
    manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    assert summary.provenance.acceleration in {"tcg", "kvm", "hvf", "whpx"}
    artifacts = {form["name"]: form for form in manifest["forms"]}
    digests = {name: artifacts[name]["sha256"] for name in artifacts}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())
    assert digests["baseline"] == digests["twin"] == digests["ebpf"], "one binary under three names"
    assert digests["orchestrion-otel"] != digests["baseline"]
    assert re.fullmatch("[0-9a-f]{64}", manifest["playbook_sha256"])
