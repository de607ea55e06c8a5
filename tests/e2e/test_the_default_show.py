"""The show that ships, on the machine that `lab` makes by itself where nothing accelerates it, one that counts
instructions: rehearsed from nothing, checked, driven by keys with a panic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.stage.show import show_file
from tests.support import ROOT, Ran, run_lab, test_home

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3400)]
NAME = "talk"
DEFAULT = {"LAB_MACHINE_CLOCK": "auto"}
REHEARSAL_S = 2400


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home of its own with the shared cache below it."""
    with tempfile.TemporaryDirectory(prefix="lab-show-") as folder:
        home = Path(folder)
        (test_home() / "cache").mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(test_home() / "cache")
        try:
            yield home
        finally:
            run_lab("down", NAME, home=home, limit_s=120)


@pytest.fixture(scope="module")
def rehearsed(home: Path) -> dict[str, Any]:
    ran = run_lab("rehearse", "-n", "1", "--name", NAME, "--json", home=home, env=DEFAULT, limit_s=REHEARSAL_S)
    assert ran.code == 0, ran.stdout[-4000:] + ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])["result"]
    return result


def test_rehearsed_from_nothing(home: Path, rehearsed: dict[str, Any]) -> None:
    assert rehearsed["runs"][0]["clean"]
    assert rehearsed["runs"][0]["network_cut"]
    assert rehearsed["missing"] == ["4 more clean rehearsals in a row"]
    show = show_file.load(show_file.find(show_file.DEFAULT))
    assert rehearsed["runs"][0]["seconds"] <= show.keys.slot_min * 60
    kept = {path.stem for path in (home / "stage" / NAME / show.name / "takes").iterdir()}
    assert kept == {beat.id for beat in show.beats}


def test_go_within_half_a_minute(home: Path, rehearsed: dict[str, Any]) -> None:
    began = time.monotonic()
    ran: Ran = run_lab("show", "--check", "--name", NAME, "--json", home=home, env=DEFAULT)
    took = time.monotonic() - began
    assert ran.code == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["check"] == "GO"  # before it: what the forms change
    print(f"checked in {took:.1f} s")
    assert took < 30


def test_driven_by_keys_with_a_panic(home: Path, rehearsed: dict[str, Any]) -> None:
    """The first beats live, the fourth played again after a panic, then its take, then the duet; all by lines of
    standard input. What counts instructions speaks of them."""
    argv = [sys.executable, "-m", "lab", "show", "--name", NAME, "--no-browser", "--json"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")}
    environment = {**clean, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, env=environment, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        seen: list[dict[str, Any]] = []

        def press(line: str) -> None:
            assert child.stdin is not None
            child.stdin.write(line + "\n")
            child.stdin.flush()

        def until(event: str, **data: Any) -> dict[str, Any]:
            assert child.stdout is not None
            for line in child.stdout:
                doc: dict[str, Any] = json.loads(line)
                seen.append(doc)
                if doc.get("event") == event and all(doc["data"].get(key) == value for key, value in data.items()):
                    return doc
            raise AssertionError(f"no {event} {data}: {seen[-5:]}")

        try:
            status = json.loads(run_lab("status", NAME, "--json", home=home).stdout)
            emulated = status["machines"][0]["accel"] == "tcg"
            assert until("ShowStarted")["data"]["clock"] == ("counted" if emulated else "real")
            for beat in range(4):
                ended = until("BeatEnded", beat=beat)
                assert ended["data"]["outcome"] == "passed", ended
                if beat < 3:
                    press("next")
            press("panic")
            began = time.monotonic()
            until("BeatStarted", beat=3)
            print(f"panic to the beat again: {time.monotonic() - began:.1f} s")
            assert until("BeatEnded", beat=3)["data"]["outcome"] == "passed"
            press("recorded")
            assert until("BeatStarted", beat=3)["data"]["recorded"]
            assert until("BeatEnded", beat=3)["data"]["outcome"] == "recorded"
            press("6")
            assert until("BeatEnded", beat=5)["data"]["outcome"] == "passed"
            told = [one["data"] for one in seen if one["event"] == "Value" and one["data"]["name"] == "cpu_per_request"]
            assert {(one["form"], one["unit"]) for one in told} == {
                (form, "million" if emulated else "ms") for form in ("baseline", "orchestrion-otel", "ebpf")
            }
            press("stop")
            until("ShowEnded")
        finally:
            child.terminate()
