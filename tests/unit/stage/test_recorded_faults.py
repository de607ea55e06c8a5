"""Injections that were recorded (tests/stage_faults, one round of them on a busy host) are named as they were made."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.stage_faults.injectors import INJECTORS
from tests.stage_faults.score import NONE, ON, Judged, judged

HERE = Path(__file__).parent
RECORDED = "recorded.jsonl.gz"
FAILING = "recorded-failing.jsonl.gz"  # on a host that others kept busy throughout
MACHINE = "recorded-machine.jsonl.gz"  # an emulated one of two CPUs
# forms that were just started are as fast as warm ones, on a host that is busy anyway
UNSEEN = "no warm-up"


@pytest.fixture(scope="module")
def found() -> dict[str, Judged]:
    return {one.injector: one for one in named(RECORDED)}


def named(file: str) -> list[Judged]:
    lines = gzip.decompress((HERE / file).read_bytes()).decode().splitlines()
    return judged(json.loads(line) for line in lines)


@pytest.mark.parametrize(
    "name", [n for n, one in INJECTORS.items() if one.truth not in ("", "failed requests") and n != UNSEEN]
)
def test_the_cause_is_named(found: dict[str, Judged], name: str) -> None:
    assert found[name].said == INJECTORS[name].truth


@pytest.mark.parametrize("name", ["clean", "unlisted: a slow disk", UNSEEN])
def test_nothing_is_off_where_nothing_changed(found: dict[str, Judged], name: str) -> None:
    assert (found[name].said, found[name].off) == (ON, ())


def test_a_cause_that_is_not_in_the_table_is_not_made_up(found: dict[str, Judged]) -> None:
    assert found["unlisted: a greedy collector of garbage"].said in (ON, NONE)


def test_a_host_that_lets_requests_time_out_is_named_before_what_failed() -> None:
    """Three programs beside the machine: up to 40 % of a form's requests took too long."""
    found = named(MACHINE)
    hogs = [one for one in found if one.injector == "machine: CPU hogs on its host"]
    assert [one.said for one in hogs] == ["noisy host"] * 3
    assert any("errors of ebpf" in one.off for one in hogs)
    assert [one.said for one in found if one.injector == "machine: clean"] == [ON]


def test_a_form_that_fails_is_named_beside_others_who_use_what_it_leaves() -> None:
    """The share of others rose from 79 to 92 %, since one form did nothing; nobody waited longer for a CPU."""
    assert {one.injector: one.said for one in named(FAILING)} == {
        "answers that are errors": "failed requests",
        "no more open files": "failed requests",
        "load generator starved": "load generator",
    }
