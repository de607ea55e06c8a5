"""Injections that were recorded (tests/stage_faults, one round of them on a busy host) are named as they were made."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.stage_faults.injectors import INJECTORS
from tests.stage_faults.score import NONE, ON, Judged, judged

RECORDED = Path(__file__).with_name("recorded.jsonl.gz")
# forms that were just started are as fast as warm ones, on a host that is busy anyway
UNSEEN = "no warm-up"


@pytest.fixture(scope="module")
def found() -> dict[str, Judged]:
    lines = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()
    return {one.injector: one for one in judged(json.loads(line) for line in lines)}


@pytest.mark.parametrize("name", [n for n, one in INJECTORS.items() if one.truth and n != UNSEEN])
def test_the_cause_is_named(found: dict[str, Judged], name: str) -> None:
    assert found[name].said == INJECTORS[name].truth


@pytest.mark.parametrize("name", ["clean", "unlisted: a slow disk", UNSEEN])
def test_nothing_is_off_where_nothing_changed(found: dict[str, Judged], name: str) -> None:
    assert (found[name].said, found[name].off) == (ON, ())


def test_a_cause_that_is_not_in_the_table_is_not_made_up(found: dict[str, Judged]) -> None:
    assert found["unlisted: a greedy collector of garbage"].said in (ON, NONE)
