"""A disk on which nothing can be written any more: a machine still goes away, and a log ends no command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.cli.session import LogFile
from lab.model.events import Bus, Notice
from lab.model.paths import JOURNAL_FILE, OVERLAY_FILE
from tests.support import run_lab

FULL = Path("/dev/full")
# no file of the process may grow: as a full disk, and without one
NO_ROOM = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX's")
@pytest.mark.parametrize("journal", [True, False])
def test_a_machine_goes_away_where_nothing_can_be_written(tmp_path: Path, journal: bool) -> None:
    folder = tmp_path / "machines" / "m"
    folder.mkdir(parents=True)
    (folder / OVERLAY_FILE).write_text("x")
    if journal:
        (folder / JOURNAL_FILE).write_text("{}\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "locks").mkdir()
    ran = run_lab("down", "m", home=tmp_path, under=NO_ROOM, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert ran.code == 0, ran.stderr
    assert ran.stderr.count("warning: cannot write the log of this command: ") == 1
    assert not folder.exists()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_log_that_cannot_be_written_is_told_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").symlink_to(FULL)
    bus = Bus()
    with LogFile(tmp_path / "log.jsonl") as log:
        bus.add(log)
        for _ in range(3):
            bus.emit(Notice(level="info", text="x"))
    warning = f"warning: cannot write the log of this command: {tmp_path / 'log.jsonl'}: No space left on device\n"
    assert capsys.readouterr().err == warning
