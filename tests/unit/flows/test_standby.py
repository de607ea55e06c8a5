"""Forms that were kept up: asked by their own process's number alone, and each answer read once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.flows import standby
from lab.flows.snapshot import RestoreReport
from lab.machines.snapshots import RestoreResult
from lab.model.errors import DemoError
from lab.model.machine import Machine, MachineSpec
from lab.remote.localhost import LocalTransport
from lab.runs.drive import Site
from tests.support import lab_at

# answers a signal as the guest half does: one proof, then the round
HOLDER = """
import json, signal, sys, time
out, seq = open(sys.argv[2], "a", buffering=1), 4
def told(kind, **data):
    global seq
    seq += 1
    doc = {"seq": seq, "at_ns": 1, "boot_id": "b", "kind": kind, "data": data}
    out.write(json.dumps(doc) + chr(10))
def asked(number, frame):
    told("proof", form="ebpf", ok=True, reason="", round=3, spans=3, attach_s=0.5 if number == signal.SIGUSR2 else None)
    told("state", phase="held", round=3)
signal.signal(signal.SIGUSR1, asked)
signal.signal(signal.SIGUSR2, asked)
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


def held(tmp_path: Path, pid: int) -> dict[str, Any]:
    site = Site(root=str(tmp_path), run_id=standby.RUN_ID)
    events = Path(site.out) / "events.jsonl"
    events.parent.mkdir(parents=True, exist_ok=True)
    first = json.dumps({"seq": 1, "at_ns": 1, "boot_id": "b", "kind": "state", "data": {"round": 1}}) + "\n"
    old = {"form": "ebpf", "ok": False, "reason": "of an earlier round", "round": 2}
    said = (("proof", old), ("state", {"round": 2}))  # asked since it was kept
    later = [json.dumps({"seq": 2, "at_ns": 1, "boot_id": "b", "kind": kind, "data": data}) for kind, data in said]
    events.write_text(first + "\n".join(later) + "\n")
    doc = {"root": site.root, "artifacts": "", "run_id": site.run_id, "python": "python3"}
    return {"forms": ["ebpf"], "site": doc, "pid": pid, "offset": len(first)}


@pytest.mark.parametrize(("reattach", "attach_s"), [(False, None), (True, 0.5)])
def test_the_holder_is_asked_and_only_what_it_says_then_is_read(
    tmp_path: Path, reattach: bool, attach_s: float | None
) -> None:
    lab = lab_at(tmp_path / "home")
    doc = held(tmp_path, 0)
    out = Path(Site(root=doc["site"]["root"], run_id=standby.RUN_ID).out) / "events.jsonl"
    with subprocess.Popen([sys.executable, "-c", HOLDER, "held", str(out)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            proofs = standby.reprove(lab, LocalTransport(lab), doc | {"pid": holder.pid}, reattach=reattach)
        finally:
            holder.kill()
    assert (proofs["ebpf"]["ok"], proofs["ebpf"]["spans"], proofs["ebpf"]["attach_s"]) == (True, 3, attach_s)


def test_a_number_that_is_anothers_by_now_is_left_alone(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "home")
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            with pytest.raises(DemoError, match="the standby process exited"):
                standby.reprove(lab, LocalTransport(lab), held(tmp_path, stranger.pid))
            time.sleep(0.2)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_form_that_is_not_proven_is_named() -> None:
    machine = Machine(spec=MachineSpec(name="m"))
    went = RestoreResult(machine=machine, restored=True, reason="", seconds=2.0, behind_s=9.0, held={})
    assert RestoreReport(went=went, proofs={"a": {"ok": True}, "b": {"ok": False}}).failed == ["b"]
    assert RestoreReport(went=went).failed == []
