"""What breaks inside a machine is reported, the run goes on, and a killed guest half is taken up again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux import ending
from lab.guest.wire import AgentSpec, Cell, GuestManifest, Plan, load
from tests.contract.guest.conftest import (
    ROOT,
    baseline,
    events,
    guest_argv,
    leftovers,
    plan,
    run_guest,
    sha256,
    write_plan,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


def begin(value: Plan, out: Path, artifacts: Path) -> subprocess.Popen[str]:
    argv = guest_argv(write_plan(out.parent, value), out, artifacts)
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], Any], deadline_s: float = 60.0) -> Any:
    ends = time.monotonic() + deadline_s
    while time.monotonic() < ends:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("the condition never came true")


def in_load(out: Path, attempt: int = 1) -> bool:
    """A cell's load is under way."""
    path = out / "events.jsonl"
    return path.exists() and sum('"kind": "sample"' in line for line in path.read_text().splitlines()) >= attempt


def pid_of(artifacts: Path, name: str) -> int:
    def find() -> int:
        found = [int(line.split()[0]) for line in leftovers(artifacts) if line.split()[1] == name]
        return found[0] if found else 0

    return int(wait_for(find))


@pytest.mark.parametrize(
    ("victim", "told"), [("shop", "service shop killed by signal 9"), ("lab-sink", "sink sink killed")]
)
def test_a_crash_in_a_cell_makes_it_invalid_and_the_run_goes_on(
    artifacts: Path, out: Path, victim: str, told: str
) -> None:
    value = plan(artifacts, [baseline(artifacts), baseline(artifacts, "twin")], requests=120)
    process = begin(value, out, artifacts)
    wait_for(lambda: in_load(out))
    os.kill(pid_of(artifacts, victim), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stdout + stderr
    first = load(Cell, (out / "cells/01-baseline-mid/cell.json").read_bytes())
    assert not first.valid
    assert any(told in reason for reason in first.reasons), first.reasons
    again = load(Cell, (out / "cells/01-baseline-mid.2/cell.json").read_bytes())
    assert again.valid
    assert again.attempt == 2
    assert load(Cell, (out / "cells/01-twin-mid/cell.json").read_bytes()).valid
    assert leftovers(artifacts) == []


def test_an_agent_that_cannot_attach_is_told_and_others_run(artifacts: Path, out: Path) -> None:
    agent = artifacts / "no-agent"
    agent.write_text(
        '#!/bin/sh\necho starting >&2\necho \'{"error": "cannot attach", "hint": "CAP_BPF"}\' >&2\nexit 4\n'
    )
    agent.chmod(0o755)
    spec = AgentSpec(binary="no-agent", sha256=sha256(agent), argv=("--pid={pid}",))
    broken = baseline(artifacts, "ebpf", mechanism="run-time", proof="some", agent=spec)
    code, answer = run_guest(plan(artifacts, [broken, baseline(artifacts)]), out, artifacts)
    assert code == 6
    assert answer["outcome"] == "failed"
    assert answer["reason"] == "ebpf: agent-shop exited with code 4: cannot attach (CAP_BPF)"
    assert answer["cells"] == ["01-baseline-mid"]
    assert [e["data"]["ok"] for e in events(out) if e["kind"] == "proof"] == [False, True]
    assert "starting" in next((out / "lives").glob("1-ebpf.*/agent-shop.log")).read_text()


def test_a_form_that_weaves_nothing_fails_its_proof(artifacts: Path, out: Path) -> None:
    silent = replace(
        baseline(artifacts, "woven"),
        mechanism="compile-time",
        proof="some",
        expected=type(baseline(artifacts).expected)(),
    )
    value = plan(artifacts, [silent])
    value = replace(value, timeouts=replace(value.timeouts, first_span_s=3.0))
    code, answer = run_guest(value, out, artifacts)
    assert code == 6
    assert "woven: proof: browse: no span for call-catalog, catalog, gateway, select-page" in answer["reason"]
    assert answer["cells"] == []


def test_another_binary_than_planned_is_refused(artifacts: Path, out: Path) -> None:
    code, answer = run_guest(plan(artifacts, [baseline(artifacts, sha256="0" * 64)]), out, artifacts)
    assert code == 6
    assert "differs from the plan" in answer["reason"]


def test_wrong_build_id_is_refused(artifacts: Path, out: Path) -> None:
    code, answer = run_guest(plan(artifacts, [baseline(artifacts, build_id="other")]), out, artifacts)
    assert code == 6
    build = (artifacts / "build-id").read_text()
    assert f"reports build {build!r}, the plan has 'other'" in answer["reason"]


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_it_converges(artifacts: Path, out: Path, seed: int) -> None:
    value = plan(artifacts, [baseline(artifacts), baseline(artifacts, "twin")])
    moments = random.Random(seed)
    kept: dict[str, bytes] = {}
    for _ in range(4):
        process = begin(value, out, artifacts)
        time.sleep(moments.uniform(0.2, 6.0))
        process.kill()
        process.communicate()
        for path, data in kept.items():
            assert Path(path).read_bytes() == data, "a whole cell was touched"
        kept = {str(p): p.read_bytes() for p in out.glob("cells/[!.]*/cell.json")}
    code, answer = run_guest(value, out, artifacts)
    assert (code, answer["cells"]) == (0, ["01-baseline-mid", "01-twin-mid"])
    for path, data in kept.items():
        assert Path(path).read_bytes() == data
    numbers = [e["seq"] for e in events(out)]
    assert numbers == sorted(set(numbers))
    assert leftovers(artifacts) == []
    manifest = load(GuestManifest, (out / "manifest.json").read_bytes())
    assert not [entry.path for entry in manifest.files if "/." in entry.path or entry.path.startswith("work")]
    assert not list(Path("/sys/fs/cgroup").glob(f"*/lab-{ending.tag(str(out.parent))}"))


def test_start_is_idempotent_stop_is_safe_and_another_plan_waits(artifacts: Path, out: Path) -> None:
    value = plan(artifacts, [baseline(artifacts)], requests=400)
    plan_file = write_plan(out.parent, value)

    def call(*argv: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
        return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])

    start = guest_argv(plan_file, out, artifacts, "start")
    code, first = call(*start)
    assert (code, first["alive"]) == (0, True)
    wait_for(lambda: in_load(out))
    code, second = call(*start)
    assert (code, second["alive"], second["state"]["pid"]) == (
        0,
        True,
        first["state"]["pid"] if first["state"] else second["state"]["pid"],
    )
    other = write_plan(out.parent / "other-plan", replace(value, seed=99))
    code, answer = call(*guest_argv(other, out.parent / "two", artifacts, "start"))
    assert code == 8
    assert "in progress" in answer["error"]
    code, stopped = call(*guest_argv(plan_file, out, artifacts)[:3], "stop", "--out", str(out))
    assert (code, stopped["alive"], stopped["sealed"]) == (0, False, False)
    assert leftovers(artifacts) == []
    shorter = call(*start)
    assert shorter[1]["alive"]
    wait_for(lambda: call(*guest_argv(plan_file, out, artifacts)[:3], "status", "--out", str(out))[1]["sealed"])
    assert load(Cell, (out / "cells/01-baseline-mid/cell.json").read_bytes()).valid
