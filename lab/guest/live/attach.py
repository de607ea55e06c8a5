"""An agent attached to a form that runs, and the first span after it; or taken away."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from lab.guest.live.orders import Orders, OrderStopped
from lab.guest.live.request import LiveRequest
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.life import Running, attach, start_agents
from lab.guest.wire.live import Attached, AttachEnded, Order, RequestEnded

UNDO_S = 1.0  # an order that is stopped ends soon


def end_agents(context: RunContext, running: Running, deadline_s: float = 0.0) -> None:
    """0: at once, for a new one takes the pins of the old one away."""
    for agent in [agent for agent in running.agents if agent in context.children.processes]:
        agent.stop(deadline_s, gently=deadline_s > 0)
        context.children.processes.remove(agent)
        with contextlib.suppress(FileNotFoundError):  # it never attached
            (running.work / (agent.name + ".ready")).unlink()
    running.agents, running.attach_s = [], None


def renew(context: RunContext, running: Running) -> None:
    """Replace each agent; `attach` waits for the new ones. Raises LifeFailed."""
    end_agents(context, running)
    start_agents(context, running)


def attach_order(context: RunContext, orders: Orders, order: Order, running: Running) -> bool:
    """Whether it attached and a span came. Raises OrderStopped, Stopped. Unless all went well no agent is left."""
    spec = context.form(order.agent_of or running.id)
    if spec.agent is None:
        raise LifeFailed("the form %s has no agent" % spec.name)
    running.form = replace(running.form, agent=spec.agent, proof=spec.proof, expected=spec.expected)
    ends: list[RequestEnded] = []
    good = False
    try:
        renew(context, running)
        attach(context, running)
        attached = Attached(order.id, time.time_ns(), running.id, spec.name, running.attach_s or 0.0)
        orders.tell(attached)
        LiveRequest(context, orders, order, ends.append).run([running])
        good = _tell(orders, order, running, ends[0].reason, ends[0].first_span_s)
    except (LifeFailed, OrderStopped) as failure:
        _tell(orders, order, running, str(failure) or "stopped by request", None)
        if isinstance(failure, OrderStopped):
            raise
    finally:
        if not good:
            _take_away(context, running, UNDO_S)
    return good


def detach_order(context: RunContext, orders: Orders, order: Order, running: Running) -> bool:
    _take_away(context, running, context.plan.timeouts.stop_s)
    return _tell(orders, order, running, "", None)


def _take_away(context: RunContext, running: Running, deadline_s: float) -> None:
    """The form is again what the plan says of it, without agents."""
    end_agents(context, running, deadline_s)
    running.form = context.form(running.id)


def _tell(orders: Orders, order: Order, running: Running, why: str, first_span_s: float | None) -> bool:
    attach_s = running.attach_s if running.agents else None
    end = AttachEnded(order.id, time.time_ns(), running.id, not why, why, attach_s, first_span_s)
    orders.tell(end)
    return not why
