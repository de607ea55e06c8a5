"""A proof needs an answer: a form that must give no span also gives none when it hangs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.linux.waiting import Cancel
from lab.guest.run import canary
from lab.guest.scoring.proof import Sent
from lab.guest.wire import Canary
from tests.unit.report import synthetic

SECOND = 10**9


def proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, expect_timeout: bool) -> Canary:
    """Of a baseline whose first canary ends with this status."""
    plan = synthetic.plan()
    kind = plan.canary[0]
    requests = tuple(
        replace(spec, expect_timeout=expect_timeout) if spec.type == kind else spec for spec in plan.requests
    )
    plan = replace(plan, requests=requests, timeouts=replace(plan.timeouts, quiet_s=0.05))

    def send_once(*given: Any) -> tuple[Sent, dict[str, Any]]:
        return Sent(given[3], "id", status, SECOND, 2 * SECOND), {}

    monkeypatch.setattr(canary, "send_once", send_once)
    sink = SimpleNamespace(count=lambda: 0, file=tmp_path / "spans", rotate=lambda _: True)
    running: Any = SimpleNamespace(work=tmp_path, target=1, sink=sink, form=plan.forms["baseline"], broken=lambda: "")
    context: Any = SimpleNamespace(plan=plan, cancel=Cancel())
    return canary.judge(context, running, canary.send(context, running, (kind,)))


@pytest.mark.parametrize(
    ("status", "expect_timeout", "reason"),
    [
        (200, False, ""),
        (-1, True, ""),
        (-1, False, "browse was not answered in time"),
        (0, True, "browse was not answered: the connection failed"),
        (500, False, "browse answered 500"),
    ],
)
def test_a_form_that_does_not_answer_is_not_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, expect_timeout: bool, reason: str
) -> None:
    found = proof(tmp_path, monkeypatch, status, expect_timeout=expect_timeout)
    assert (found.ok, found.reason) == (not reason, reason)
