"""What there is to read after a failure."""

from __future__ import annotations

import os
from pathlib import Path

from lab.flows import logs
from lab.model.paths import SERIAL_LOG
from tests.support import lab_at


def test_the_console_first_then_the_newest_commands(tmp_path: Path) -> None:
    lab = lab_at(tmp_path)
    console = lab.paths.machine("m") / SERIAL_LOG
    console.parent.mkdir(parents=True)
    console.write_bytes(b"booting\nready\xff\n")
    lab.paths.logs.mkdir()
    for age, name in enumerate(("newest", "newer", "old")):
        (lab.paths.logs / name).write_text(f"1 {name}\n2 {name}\n3 {name}\n")
        os.utime(lab.paths.logs / name, (1000 - age, 1000 - age))
    told = logs.tails(lab, "m", 2)
    assert list(told) == [str(console), str(lab.paths.logs / "newer"), str(lab.paths.logs / "newest")]
    assert told[str(console)] == "booting\nready\N{REPLACEMENT CHARACTER}"
    assert told[str(lab.paths.logs / "newest")] == "2 newest\n3 newest"


def test_nothing_yet_is_nothing(tmp_path: Path) -> None:
    assert logs.tails(lab_at(tmp_path), "m", 9) == {}


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(1 << 34)  # sparse: reading it whole would not end
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast but one\nlast\n")
    assert logs.tail(log, 2) == "last but one\nlast"
