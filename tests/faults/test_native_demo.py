"""The demo on this very Linux, killed, stopped and crashed: it goes on, keeps what is whole, and says what is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.running import demo_argv, mounted, running, working_in
from tests.support import ROOT, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
NAME = "native"
FOREIGN = ROOT / "tests/contract/foreign"
HERE = ("--provider", "local")
STOP_S = 15.0  # the first Ctrl-C: at the next safe point


def cells(home: Path) -> dict[str, bytes]:
    """Whole cells in the machine: those with their cell.json, by path, with all their files' bytes joined."""
    done = (home / "machines" / NAME / "guest" / "runs").glob("*/guest/cells/*/cell.json")
    return {
        str(path.parent): b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()) if file.is_file())
        for path in done
        if not path.parent.name.startswith(".")  # one that is being written is not whole yet
    }


def events(home: Path) -> list[dict[str, Any]]:
    """What the guest half has told so far."""
    files = (home / "machines" / NAME / "guest" / "runs").glob("*/guest/events.jsonl")
    lines = [line for path in files for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in lines]


def under_load(home: Path) -> str:
    """The form whose cell is under load right now, "" between loads."""
    form, last = "", ""
    for event in events(home):
        form, last = str(event["data"].get("form", form)), event["kind"]
    return form if last == "sample" else ""


def run_ids(home: Path) -> list[str]:
    return sorted(path.name.removeprefix("incomplete-") for path in (home / "runs").iterdir())


def test_stopped_and_killed_it_goes_on_and_keeps_whole_cells(home: Path) -> None:
    argv = demo_argv(NAME, "baseline,twin", *HERE)
    with running(*argv, home=home) as first:
        first.until(lambda: under_load(home), "a cell's load")
        asked = time.monotonic()
        first.signal(signal.SIGINT)
        assert first.wait(STOP_S) == 130, first.said()
        assert time.monotonic() - asked < STOP_S
        assert first.hears("stopping at the next safe point")
        assert first.hears("run the command again to continue")
    cut = run_ids(home)
    assert len(cut) == 1

    with running(*argv, home=home) as second:
        second.until(lambda: second.hears(f"resuming {cut[0]}, which was interrupted"), "the cut run to be found")
        kept = second.until(lambda: cells(home), "a whole cell")
        assert working_in(home), "a search that finds nothing now would find nothing at the end"
        second.signal(signal.SIGKILL)
        assert second.wait() == -signal.SIGKILL

    with running(*argv, home=home) as third:
        assert third.wait() in {0, 6}, third.said()  # 6: a busy host made a cell INVALID
        assert third.hears(f"resuming {cut[0]}, which was interrupted")
        done = third.result()
    assert done["run_id"] == cut[0]
    assert run_ids(home) == cut, "no second run beside it"
    assert Path(done["run_dir"]).name == cut[0], "published under its own name"
    after = cells(home)
    assert {path: after[path] for path in kept} == kept, "a whole cell was touched"
    brought = json.loads((Path(done["run_dir"]) / "summary.json").read_text())
    told = {cell["cell"] + (f".{cell['attempt']}" if cell["attempt"] > 1 else "") for cell in brought["timeline"]}
    assert {path.rpartition("/")[2] for path in after} == told, "every attempt came home"

    down = run_lab("down", NAME, home=home)
    assert down.code == 0, down.stderr
    assert list((home / "machines").iterdir()) == []
    left_open = [path for path in (home, *home.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert left_open == [], "umask-modes: all of LAB_HOME is this user's alone"
    assert working_in(home) == []


def test_a_service_that_crashes_makes_its_cell_invalid_and_the_rest_is_measured(home: Path) -> None:
    crashed: set[int] = set()

    def crash() -> None:
        """Kill the twin's service (the baseline's binary) whenever it is under load."""
        if under_load(home) == "twin":
            for pid, name in working_in(home):
                if name == "baseline" and pid not in crashed:
                    crashed.add(pid)
                    os.kill(pid, signal.SIGKILL)

    with running(*demo_argv(NAME, "baseline,twin", *HERE), home=home) as demo:
        ends = time.monotonic() + 200
        while demo.process.poll() is None:
            crash()
            assert time.monotonic() < ends, demo.said()
            time.sleep(0.05)
        assert demo.wait() == 6, demo.said()
        done = demo.result()
    assert len(crashed) == 2, "the first attempt and its one rerun"
    assert demo.hears("service shop killed by signal 9")
    summary = json.loads(Path(done["run_dir"], "summary.json").read_text())
    nothing = {"spans": 0, "cpu": 0, "memory": 0, "latency": 0}
    counts = {"planned": 1, "valid": 0, "saturated": 0, "attempts": 2, "invalid": 2, "invalid_share": 1.0}
    assert summary["forms"]["twin"]["cells"] == {**counts, "usable": nothing}
    assert summary["forms"]["baseline"]["cells"]["planned"] == 1
    assert {cell["form"] for cell in summary["timeline"]} == {"baseline", "twin"}
    assert "killed by signal 9" in Path(done["report"]).read_text()


def test_a_disk_that_was_full_and_is_no_more(home: Path) -> None:
    """Told with both numbers; the same command is not held to it once there is room."""
    argv = demo_argv(NAME, "baseline", *HERE)
    with mounted(home / "machines", "size=20m"):
        with running(*argv, home=home) as first:
            assert first.wait() == 6, first.said()
            assert first.hears("the disk is full:")
            assert first.hears("bytes free in")
            assert first.hears("67108864 needed")
        remount = ["mount", "-o", "remount,size=300m", str(home / "machines")]
        subprocess.run(remount, check=True, capture_output=True)
        with running(*argv, home=home) as second:
            assert second.wait() in {0, 6}, second.said()  # 6: a busy host made the cell INVALID
            assert Path(second.result()["report"]).is_file()
        assert run_ids(home) == [first.result()["run_id"], second.result()["run_id"]]
        summary = json.loads(Path(first.result()["run_dir"], "summary.json").read_text())
        assert "the disk is full" in summary["unproven"]["baseline"]
        assert run_lab("down", NAME, home=home).code == 0


def test_a_form_whose_service_never_starts_is_not_proven(home: Path, tmp_path: Path) -> None:
    """No canary could be sent; that is a failure all the same, told with what the service said."""
    shutil.copytree(FOREIGN, tmp_path / "service")
    path = tmp_path / "service/service.yaml"
    path.write_text(path.read_text().replace("--front=", "--no-such-flag="))
    argv = ("deploy", NAME, *HERE, "--service", str(tmp_path / "service"), "--form", "baseline", "--json")
    ran = run_lab(*argv, home=home, limit_s=240)
    assert ran.code == 6, ran.stderr
    proof = json.loads(ran.stdout.splitlines()[-1])["result"]["proofs"]["baseline"]
    assert not proof["ok"]
    assert "tickets exited with code 2" in proof["reason"]
    assert "no-such-flag" in proof["reason"]
