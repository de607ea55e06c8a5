"""A demo kept ready in a machine: back with every form proven, also after kills; told where that cannot be."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.flows import live
from lab.guest.wire.live import AttachEnded, LoadEnded, MachineWindow, OrderEnded, RequestEnded, SpanSeen
from lab.machines import snapshots
from lab.model.paths import Paths
from tests.support import REAL_CLOCK, ROOT, Ran, lab_at, run_lab, test_home

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3000)]
FORMS = "baseline,orchestrion-otel,ebpf"
LIMIT_S = 900


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home of its own with the shared cache below it, and a machine with forms kept up in it."""
    with tempfile.TemporaryDirectory(prefix="lab-kept-demo-") as folder:
        home = Path(folder)
        (test_home() / "cache").mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(test_home() / "cache")
        try:
            counted = {"LAB_MACHINE_CLOCK": "counted"}  # what an emulated machine is, unless told otherwise
            good(run_lab("up", "talk", home=home, env=counted, limit_s=LIMIT_S))
            good(run_lab("snapshot", "talk", "--form", FORMS, home=home, limit_s=LIMIT_S))
            yield home
        finally:
            run_lab("down", "talk", home=home, limit_s=120)


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.stdout + ran.stderr
    return ran


def restored(home: Path, *options: str, code: int = 0) -> dict[str, Any]:
    ran = run_lab("restore", "talk", "--json", *options, home=home, limit_s=LIMIT_S)
    assert ran.code == code, ran.stdout + ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])["result"]
    return result


def record(home: Path) -> Path:
    return Paths(home=home).machine("talk") / "snapshots/ready.json"


def agents(home: Path) -> str:
    return good(run_lab("exec", "--name", "talk", "--", "pgrep", "-f", "bin/agent --pid", home=home)).stdout


def assert_proven(result: dict[str, Any]) -> None:
    assert {name: proof["ok"] for name, proof in result["forms"].items()} == dict.fromkeys(FORMS.split(","), True), (
        result
    )
    assert result["forms"]["baseline"]["spans"] == 0
    assert result["forms"]["ebpf"]["spans"] > 0


def test_back_again_and_again_and_with_agents_attached_now(home: Path) -> None:
    for _ in range(2):
        result = restored(home, "--no-fallback")
        assert_proven(result)
        assert result["restored"]
        assert result["clock_behind_s"] > 0
        assert result["forms"]["ebpf"]["attach_s"] is None
        print({what: result[what] for what in ("seconds", "proven_s")})
    before = agents(home)
    result = restored(home, "--no-fallback", "--attach")
    assert_proven(result)
    assert result["forms"]["ebpf"]["attach_s"] > 0
    assert set(agents(home).split()).isdisjoint(before.split())


def test_a_restored_machine_takes_orders_in_its_own_time(home: Path) -> None:
    """Counted, as every emulated machine: a window is half a second of the guest, however long that takes here."""
    restored(home, "--no-fallback")
    with live.opened(lab_at(home), "talk") as cast:
        assert cast.clock == "counted"
        asked = list(cast.request("browse", at_once=True))
        assert {one.form: (one.ok, one.seen) for one in asked if isinstance(one, RequestEnded)} == {
            "baseline": (True, 0),
            "orchestrion-otel": (True, 4),
            "ebpf": (True, 4),
        }, asked
        duet = list(cast.load(rate_rps=5, seconds=4))
        ended = {one.form: one for one in duet if isinstance(one, LoadEnded)}
        assert {name: (one.ok, one.done) for name, one in ended.items()} == dict.fromkeys(FORMS.split(","), (True, 20))
        assert ended["baseline"].spans_seen == 0
        assert ended["orchestrion-otel"].spans_seen == ended["orchestrion-otel"].spans_wanted > 0, duet
        machine = [one for one in duet if isinstance(one, MachineWindow)]
        assert statistics.median(one.seconds for one in machine) == pytest.approx(0.5, rel=0.1)
        attached = list(cast.attach("baseline", agent_of="ebpf", request="browse"))
        assert [one.ok for one in attached if isinstance(one, AttachEnded)] == [True], attached
        assert [one.form for one in attached if isinstance(one, SpanSeen)] == ["baseline"] * 4
        load = cast.load(rate_rps=5, seconds=600)
        next(load)
        cast.stop()
        assert [one.outcome for one in load if isinstance(one, OrderEnded)] == ["stopped"]


def test_killed_at_any_instant_the_same_command_brings_it_back(home: Path) -> None:
    instants = random.Random(seed := random.randrange(1 << 20))
    print("seed", seed)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    environment = {**clean, **REAL_CLOCK, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    for _ in range(4):
        argv = [sys.executable, "-m", "lab", "restore", "talk"]
        moment = instants.uniform(0.3, 6.0)
        with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(moment)
            except subprocess.TimeoutExpired:
                child.kill()
            print(f"restore killed after {moment:.1f} s: {child.wait()}")
        result = restored(home, "--no-fallback")
        assert_proven(result)
        assert result["restored"]


def test_a_form_that_died_is_told_and_costs_the_exit_code(home: Path) -> None:
    standby = json.loads(record(home).read_text(encoding="utf-8"))["standby"]
    good(run_lab("exec", "--name", "talk", "--", "sh", "-c", "kill -9 $(pgrep -o -f 'bin/baseline all')", home=home))
    snapshots.save(lab_at(home), "talk", "hurt", standby=standby)
    result = restored(home, "--from", "hurt", code=6)
    assert sorted(proof["ok"] for proof in result["forms"].values()) == [False, True, True]
    assert [proof["reason"] for proof in result["forms"].values() if not proof["ok"]] != [""]


def test_what_measures_has_the_machine_to_itself(home: Path) -> None:
    restored(home)
    ran = good(run_lab("deploy", "talk", "--form", "baseline", home=home, limit_s=LIMIT_S))
    assert "stopped the standby forms" in ran.stdout + ran.stderr
    assert_proven(restored(home, "--no-fallback"))


def test_one_that_does_not_fit_is_a_boot_with_the_forms_started_again(home: Path) -> None:
    whole = record(home).read_text(encoding="utf-8")
    doc = json.loads(whole)
    doc["kept"]["key"]["qemu"] = "QEMU emulator version 6.2.0"
    record(home).write_text(json.dumps(doc), encoding="utf-8")
    result = restored(home)
    assert_proven(result)
    assert not result["restored"]
    assert "6.2.0" in result["reason"]
    doc["standby"]["service"] = str(home / "gone")
    record(home).write_text(json.dumps(doc), encoding="utf-8")
    ran = run_lab("restore", "talk", home=home, limit_s=LIMIT_S)
    assert ran.code == 3
    assert str(home / "gone") in ran.stderr
    assert "is up" in ran.stderr, "the machine was booted all the same, and that is reported"
    record(home).write_text(whole, encoding="utf-8")
    assert restored(home, "--no-fallback")["restored"]
