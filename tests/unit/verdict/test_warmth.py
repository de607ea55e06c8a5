"""A form that is still getting faster in the measured window is named; chance is not."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.wire import RequestSpec
from lab.model.run import Request, RunCell
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.cells.warmth import cold, trend
from tests.unit.report import synthetic

SPECS = (RequestSpec(type="get", weight=1, method="GET", path="/"),)


def rows(slower: float, seed: int, count: int = 300, status: int = 200) -> list[Request]:
    """Requests of about 4 ms, a hundred in a second; those of the first third take `slower` times as long."""
    draw = random.Random(seed)
    out = []
    for at in range(count):
        ms = 4.0 * draw.lognormvariate(0, 0.2) * (slower if at < count / 3 else 1.0)
        sent = at * 10_000_000
        out.append(Request(sent, sent, sent + int(ms * 1e6), status, "get", "", ""))
    return out


def trends(slower: float, cells: int) -> list[float]:
    found = [trend(rows(slower, seed), SPECS) for seed in range(cells)]
    return [one for one in found if one is not None]


def test_a_cold_start_is_seen_in_nearly_all_cells() -> None:
    told = cold(trends(1.15, 12))
    assert told is not None
    assert (told.cells, told.of) == (12, 12)
    assert told.slower_pct == pytest.approx(15, abs=5)


def test_what_is_warm_or_too_little_or_seen_in_few_cells_only_is_not_called_cold() -> None:
    assert cold(trends(1.0, 12)) is None
    assert cold(trends(1.02, 12)) is None, "less than matters"
    assert cold(trends(1.15, 5)) is None, "five of five come by chance once in 32"
    assert cold([]) is None
    assert trend([], SPECS) is None
    assert trend(rows(1.15, 1, count=20), SPECS) is None, "too few answers"
    assert trend(rows(1.15, 1, status=500), SPECS) is None, "no answer as expected"


def test_the_report_does_not_claim_that_it_was_warm(tmp_path: Path) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=8))

    def warming(one: RunCell) -> RunCell:
        own = sorted(one.requests(), key=lambda row: row.intended_ns)
        later = own[len(own) // 3].intended_ns
        slow = [
            row._replace(end_ns=row.end_ns + (row.end_ns - row.intended_ns if row.intended_ns < later else 0))
            for row in own
        ]
        return replace(one, requests=lambda: iter(slow))

    cells = tuple(warming(one) if one.cell.form == "ebpf" else one for one in run.cells)
    claims = summarize(replace(run, cells=cells)).may_not_claim
    (told,) = [claim for claim in claims if "was warm" in claim]
    assert told.startswith("that ebpf was warm: its requests took ")
    assert "raise the scenario's warmup_requests" in told
    assert not [claim for claim in summarize(run).may_not_claim if "was warm" in claim]
