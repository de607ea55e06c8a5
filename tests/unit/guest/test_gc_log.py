"""Garbage collections in a recorded log; of a real process: tests/contract/guest/test_gc_log.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.linux.gc_log import Collected, GcLog, reporting, without_reports

# what Go 1.26 wrote while its program printed a line before each collection
MIXED = """\
gc hello 0
1 @0.000s 15%: 0.11+0.29+0.010 ms clock, 0.23+0/0.12/0.016+0.021 ms cpu, 0->0->0 MB, 4 MB goal, 2 P (forced)
gc 2 @0.001s 19%: 0.14+0.078+0.003 ms clock, 0.29+0/0.11/0+0.006 ms cpu, 0->0->0 MB, 4 MB goal, 2 P (forced)
hello 1
gc 3 @0.001s 20%: 0.14hello 2
+0.14+0.003 ms clock, 0.28+0/0.072/0+0.007 ms cpu, 0->0->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)
"""


def test_reports_that_are_mixed_with_other_lines(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text(MIXED)
    seen = GcLog(log)
    found = seen.so_far()
    assert (found.number, found.whole, seen.so_far()) == (3, 1, found)
    assert found.cpu_s == pytest.approx(0.000406)
    with log.open("a") as file:
        file.write("gc 4 @1.2s 0%: 0.1+0.1+0.1 ms clock, 0.1+0/0/0+0 ms cpu, 3->3->0 MB, 4 MB goal, 2 P\nhello 3\n")
    before, after = seen.so_far(), seen.so_far()
    assert (after.number, after.whole) == (4, 2)
    assert after.cpu_s == pytest.approx(0.000506)
    assert after.since(before) == Collected()
    assert "hello 1" in without_reports(MIXED)
    assert "gc 2 @" not in without_reports(MIXED)
    assert "gc 3 @0.001s 20%: 0.14hello 2" in without_reports(MIXED)


def test_a_log_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert GcLog(tmp_path / "none.log").so_far() == Collected()


@pytest.mark.parametrize(("before", "after"), [("", "gctrace=1"), ("madvdontneed=1", "madvdontneed=1,gctrace=1")])
def test_what_the_process_sets_itself_is_kept(before: str, after: str) -> None:
    env = {"A": "b", **({"GODEBUG": before} if before else {})}
    assert reporting(env) == {"A": "b", "GODEBUG": after}
