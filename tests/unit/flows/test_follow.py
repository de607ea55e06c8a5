"""What is said above a proof that failed: never ok."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab.flows import stages
from lab.flows.resume import RunRecorder
from lab.flows.stages import Work
from lab.model.events import GuestEvent, StepFinished
from tests.support import lab_at
from tests.unit.flows.under_way import started


def told(tmp_path: Path, *events: tuple[str, dict[str, Any]]) -> StepFinished:
    """Follow a guest half that wrote these events; how the step ended."""
    lab = lab_at(tmp_path / "home")
    under_way = started(lab, *events)
    seen: list[Any] = []
    lab.bus.add(lambda record: seen.append(record.event))
    with ExitStack() as stack:
        assert stages.follow(Work(lab=lab, recorder=RunRecorder(), open=stack, held=stack), under_way).run == under_way
    assert [event.kind for event in seen if isinstance(event, GuestEvent)][-1] == "done"
    (finished,) = [event for event in seen if isinstance(event, StepFinished)]
    return finished


def test_no_context_a_failed_proof_fails_the_step_above_it(tmp_path: Path) -> None:
    proofs = (
        {"form": "baseline", "ok": True, "reason": ""},
        {"form": "ebpf", "ok": False, "reason": "no span arrived"},
    )
    step = told(tmp_path, *(("proof", proof) for proof in proofs))
    assert (step.outcome, step.message) == ("failed", "1 of 6 forms not proven: ebpf")


def test_proofs_that_hold_leave_the_step_well(tmp_path: Path) -> None:
    step = told(tmp_path, ("proof", {"form": "ebpf", "ok": True, "gaps": "get: no span for x"}))
    assert step.outcome == "done"
