"""What the runtime of a real Go process says of its garbage collections."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.guest.linux.gc_log import GcLog, reporting, without_reports
from tests.support import go_environment, pinned_go


def test_each_collection_is_counted(tmp_path: Path) -> None:
    go, log = pinned_go(), tmp_path / "go.log"
    env = reporting(go_environment(go, GOGC="50"))
    with log.open("wb") as stderr:
        subprocess.run([go.go, "list", "std"], env=env, stdout=subprocess.DEVNULL, stderr=stderr, check=True)
    said = log.read_text()
    assert said.startswith("gc 1 @")
    found = GcLog(log).so_far()
    assert found.number == found.whole == said.count("gc ") >= 2
    assert found.cpu_s > 0
    assert without_reports(said) == ""
