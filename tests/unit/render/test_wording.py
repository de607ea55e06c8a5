"""Words shared by the views."""

from __future__ import annotations

from typing import Any

import pytest

from lab.model.events import GuestEvent
from lab.render import wording


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"valid": True}, "1-a: valid"),
        (
            {"valid": False, "saturated": True, "void": ["spans", "cpu", "memory", "latency"], "reasons": ["late"]},
            "1-a: saturated: late",
        ),
        (
            {"valid": False, "void": ["latency"], "reasons": ["late: 0.03"]},
            "1-a: valid for spans, cpu, memory; not for latency: late: 0.03",
        ),
        (
            {"valid": False, "void": ["spans", "cpu", "memory", "latency"], "reasons": ["a crash"]},
            "1-a: INVALID: a crash",
        ),
    ],
)
def test_late_voids_spans_on_no_screen(data: dict[str, Any], said: str) -> None:
    assert wording.guest(GuestEvent(kind="cell", at_ns=1, data={"id": "1-a", **data})) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"ok": True, "reason": "", "gaps": ""}, "ebpf: proof ok"),
        (
            {"ok": True, "reason": "", "gaps": "visit: wrong parent of count"},
            "ebpf: proof ok (differs from the reference: visit: wrong parent of count)",
        ),
        ({"ok": False, "reason": "no span arrived", "gaps": ""}, "ebpf: proof FAILED: no span arrived"),
    ],
)
def test_no_context_a_proof_in_one_line(data: dict[str, Any], said: str) -> None:
    assert wording.guest(GuestEvent(kind="proof", at_ns=1, data={"form": "ebpf", **data})) == said
