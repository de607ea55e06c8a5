"""An agent that is attached for one order: whatever ends the order early, the form is as the plan has it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.live import attach as live_attach
from lab.guest.live.attach import attach_order
from lab.guest.live.orders import OrderStopped
from lab.guest.run.context import LifeFailed
from lab.guest.wire import AgentSpec, FormSpec
from lab.guest.wire.live import AttachEnded, Order, RequestEnded

PLAIN = FormSpec(name="baseline", mechanism="none", binary="b", sha256="ab", build_id="")
EBPF = FormSpec(
    name="ebpf", mechanism="run-time", binary="b", sha256="ab", build_id="", proof="some",
    agent=AgentSpec(binary="agent", sha256="cd", argv=(), env={}),
)  # fmt: skip
ORDER = Order(id="1", kind="attach", forms=("baseline",), agent_of="ebpf")


class Standing:
    """A baseline that runs, and agents that start at once."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Callable[..., None]) -> None:
        self.told: list[Any] = []
        self.request = request
        self.running: Any = SimpleNamespace(id="baseline", form=PLAIN, agents=[], work=tmp_path, attach_s=None)
        forms = {"baseline": PLAIN, "ebpf": EBPF}
        children = SimpleNamespace(processes=[])
        self.context: Any = SimpleNamespace(form=forms.__getitem__, children=children)
        self.orders: Any = SimpleNamespace(tell=self.told.append)
        monkeypatch.setattr(live_attach, "start_agents", self._start)
        monkeypatch.setattr(live_attach, "attach", lambda *_: setattr(self.running, "attach_s", 1.0))
        sends = lambda *given: SimpleNamespace(run=lambda _: self.request(given[-1]))  # noqa: E731
        monkeypatch.setattr(live_attach, "LiveRequest", sends)

    def _start(self, *_: object) -> None:
        agent = SimpleNamespace(name="agent", stop=lambda *_, **__: 0)
        (self.running.work / "agent.ready").touch()
        self.context.children.processes.append(agent)
        self.running.agents = [agent]

    def attach(self) -> bool:
        return attach_order(self.context, self.orders, ORDER, self.running)

    @property
    def plain(self) -> bool:
        return self.running.form == PLAIN and not self.running.agents and not self.context.children.processes


def an_end(*, ok: bool) -> RequestEnded:
    why = "" if ok else "no span arrived"
    return RequestEnded("1", 0, "baseline", ok, why, wanted=1, expected=1, seen=int(ok), first_span_s=0.5)


def stopped(ended: Callable[[RequestEnded], None]) -> None:
    ended(an_end(ok=False))  # as LiveRequest tells each form before it is left
    raise OrderStopped


def broken(_: object) -> None:
    raise LifeFailed("the load generator is not there")


def crashed(_: object) -> None:
    raise OSError("no space left on device")


def test_an_agent_stays_that_gave_its_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Standing(tmp_path, monkeypatch, lambda ended: ended(an_end(ok=True)))
    assert one.attach()
    assert (one.running.form.agent, len(one.running.agents)) == (EBPF.agent, 1)
    assert [(end.ok, end.attach_s) for end in one.told if isinstance(end, AttachEnded)] == [(True, 1.0)]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("request_ends", "raises"),
    [(stopped, OrderStopped), (broken, None), (lambda ended: ended(an_end(ok=False)), None), (crashed, OSError)],
)
def test_no_agent_is_left_of_an_order_that_did_not_end_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_ends: Any, raises: Any, *, again: bool
) -> None:
    one = Standing(tmp_path, monkeypatch, lambda ended: ended(an_end(ok=True)))
    if again:  # the form kept the agent of an earlier order
        one.attach()
        one.told.clear()
    one.request = request_ends
    if raises is None:
        assert not one.attach()
    else:
        with pytest.raises(raises):
            one.attach()
    assert one.plain, "the next load would call it the baseline"
    assert [end.ok for end in one.told if isinstance(end, AttachEnded)] == [False] * (raises is not OSError)
