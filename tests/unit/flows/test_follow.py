"""What is said above a proof that failed: never ok."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from lab.flows import demo as flow
from lab.guest.wire import GuestRecord, dump
from lab.model.events import GuestEvent, StepFinished
from lab.model.machine import Machine
from lab.remote.localhost import LocalTransport
from lab.runs.drive import Site
from tests.support import lab_at
from tests.unit.report import synthetic


def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *events: tuple[str, dict[str, Any]]
) -> tuple[str, StepFinished]:
    """Follow a guest half that wrote these events; what comes back, and how the step ended."""
    lab = lab_at(tmp_path / "home")
    site = Site(root=str(tmp_path), artifacts="", run_id="r")
    Path(site.out).mkdir(parents=True)
    records = [GuestRecord(seq, 1, "boot", kind, data) for seq, (kind, data) in enumerate((*events, ("done", {})), 1)]
    Path(site.out, "events.jsonl").write_text("".join(dump(record) + "\n" for record in records))

    @contextlib.contextmanager
    def connected(*_: object) -> Iterator[LocalTransport]:
        yield LocalTransport(lab)

    monkeypatch.setattr(flow, "connected", connected)
    seen: list[Any] = []
    lab.bus.add(lambda record: seen.append(record.event))
    unproven = flow.follow_run(lab, cast("Machine", None), site, synthetic.plan())
    assert [event.kind for event in seen if isinstance(event, GuestEvent)][-1] == "done"
    (finished,) = [event for event in seen if isinstance(event, StepFinished)]
    return unproven, finished


def test_no_context_a_failed_proof_fails_the_step_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = (
        {"form": "baseline", "ok": True, "reason": ""},
        {"form": "ebpf", "ok": False, "reason": "no span arrived"},
    )
    unproven, step = told(tmp_path, monkeypatch, *(("proof", proof) for proof in proofs))
    assert unproven == "ebpf"
    assert (step.outcome, step.message) == ("failed", "1 of 6 forms not proven: ebpf")


def test_proofs_that_hold_leave_the_step_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unproven, step = told(tmp_path, monkeypatch, ("proof", {"form": "ebpf", "ok": True, "gaps": "get: no span for x"}))
    assert (unproven, step.outcome) == ("", "done")
