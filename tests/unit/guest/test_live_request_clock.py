"""A machine that stood still while it waited for an answer: the answer still counts."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.linux import waiting
from lab.guest.linux.line_stream import LineStream
from lab.guest.live import request as live_request
from lab.guest.live.request import LiveRequest, SentRequest
from lab.guest.scoring.trees import type_trees
from lab.guest.wire.live import Order, RequestEnded
from tests.unit.runs.test_plan import made

ANSWER = {
    "target": "baseline", "request_id": "1", "trace_id": "", "status": 200, "expected": True, "headers": {},
    "start_ns": 1, "end_ns": 2,
}  # fmt: skip


def test_an_answer_after_the_machine_stood_still_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made(clock="counted", requests=100)
    now, looks = 100.0, 0
    read, pipe = os.pipe()

    def select(*_: object) -> None:
        nonlocal now, looks
        looks += 1
        now += 3600.0 if looks == 3 else 0.1
        if looks == 5:
            os.write(pipe, (json.dumps(ANSWER) + "\n").encode())

    time: Any = SimpleNamespace(monotonic=lambda: now, time_ns=lambda: 0)
    for module in (live_request, waiting):
        monkeypatch.setattr(module, "time", time)
    monkeypatch.setattr(live_request, "select", SimpleNamespace(select=select))
    ends: list[RequestEnded] = []
    told: Any = SimpleNamespace(tell=lambda _: None, check=lambda: None, woken=0)
    asked = LiveRequest(SimpleNamespace(plan=plan), told, Order(id="1", kind="request", request="browse"), ends.append)  # type: ignore[arg-type]  # no more of it is used
    running: Any = SimpleNamespace(id="baseline", form=plan.forms["baseline"], ended=lambda _: "")
    tree = type_trees(plan.reference, running.form.expected)["browse"]
    asked._follow({"baseline": SentRequest(running, tree)}, SimpleNamespace(said=str, ended=str), LineStream(read))  # type: ignore[arg-type]  # likewise
    assert [(end.ok, end.reason) for end in ends] == [(True, "")]
