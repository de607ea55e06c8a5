"""Standby: forms kept running together, each with its own sink, ready for orders; for shows and snapshots.

A memory snapshot restores the processes as they were. New agents are attached once their form is proven, so that
those in a snapshot are fresh: an agent's maps fill with use. Services stay as they are.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from lab.guest.linux import ending
from lab.guest.linux.accounts import DELEGATED_ENV, open_accounts
from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.facts import systemd_runs
from lab.guest.linux.waiting import Cancel, Stopped
from lab.guest.live.attach import attach_order, detach_order, renew
from lab.guest.live.load import LiveLoad
from lab.guest.live.load import limit_s as load_limit_s
from lab.guest.live.orders import Orders, OrderStopped
from lab.guest.live.request import SILENT, LiveRequest
from lab.guest.live.request import limit_s as request_limit_s
from lab.guest.run.canary import SentCanaries, judge, prove, rotate, send
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.journal import Journal, write_state
from lab.guest.run.life import Running, attach, start_life
from lab.guest.run.lock import Lock
from lab.guest.run.seal import LAUNCH_LOG, WORK_DIR
from lab.guest.wire import PLAN_FILE, Canary, Plan, dump, encode
from lab.guest.wire.live import Accepted, Order, OrderEnded, Proof, Refused, RequestEnded

LOAD_FORMS_MOST = 4


def standby(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> None:
    """Start every form, prove it, then carry out orders until stopped. Raises Busy, Stopped.

    Emits one "proof" per form, then "state" standby with the round (1: the start); a form that fails is reported and
    the others stay up. Removes what an earlier process left.
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(out, plan.digest(), standby=True)
    try:
        ending.end_children(ending.runs_of(str(out)))
        for path in out.iterdir():
            if path.is_dir():
                shutil.rmtree(str(path))
            elif path.name != LAUNCH_LOG:  # still open
                path.unlink()
        write_text(out / PLAN_FILE, dump(plan) + "\n")
        journal = Journal(out)
        orders = Orders(out, journal, cancel)
        _Standby(_context(plan, out, artifacts, env, journal, orders), orders).run()
    finally:
        lock.close()


def _context(
    plan: Plan, out: Path, artifacts: Path, env: dict[str, str], journal: Journal, cancel: Cancel
) -> RunContext:
    work, systemd = out / WORK_DIR, systemd_runs()
    work.mkdir()
    accounts = open_accounts(
        ending.tag(ending.runs_of(str(out))), delegated=bool(env.get(DELEGATED_ENV)), systemd=systemd
    )
    children = ChildProcesses(accounts=accounts, out=out)
    return RunContext(plan, out, work, artifacts, journal, accounts, children, cancel, systemd)


class _Standby:
    def __init__(self, context: RunContext, orders: Orders) -> None:
        self.context, self.orders = context, orders
        self.up: list[Running] = []
        self.rounds = 1

    def run(self) -> None:
        context = self.context
        try:
            self.up = _start(context)
            self._round()
            while True:
                order = self.orders.next()
                self._carry_out(order)
                self.orders.done()
        except Stopped:
            context.journal.emit_last("state", phase="stopped")
        except BaseException as error:
            context.journal.emit_last("failed", reason="%s: %s" % (type(error).__name__, error))
            raise
        finally:
            context.children.stop_all(context.plan.timeouts.stop_s)
            context.accounts.close()
            context.journal.close()

    def _round(self) -> None:
        self.context.journal.emit("state", phase="standby", round=self.rounds)
        write_state(self.context.out, self.context.digest, "standby", self.rounds, self.rounds)

    def _carry_out(self, order: Order) -> None:
        """Whatever goes wrong ends the order, not the forms."""
        began, context = time.monotonic(), self.context
        outcome: Literal["done", "failed", "stopped"] = "failed"
        why = "not every form ended well"
        try:
            forms = self._forms(order)
        except LifeFailed as failure:
            self.orders.end(Refused(order.id, time.time_ns(), str(failure)))
            return
        limit_s, names = self._limit_s(order, len(forms)), tuple(one.id for one in forms)
        try:
            self.orders.tell(Accepted(order.id, time.time_ns(), order.kind, names, context.plan.clock, limit_s))
            if self._do(order, forms):
                outcome, why = "done", ""
        except (OrderStopped, Stopped) as stop:
            outcome, why = "stopped", "stopped by request"
            if isinstance(stop, Stopped):
                raise
        except LifeFailed as failure:
            why = str(failure)
        except Exception as error:  # noqa: BLE001  # the other forms, and the orders to come, go on
            why = "%s: %s" % (type(error).__name__, error)
        finally:
            seconds = round(time.monotonic() - began, 3)
            self.orders.end(OrderEnded(order.id, time.time_ns(), outcome, why, seconds))

    def _forms(self, order: Order) -> list[Running]:
        """Those that the order names, all that are up where it names none. Raises LifeFailed."""
        up = {one.id: one for one in self.up}
        absent = [name for name in order.forms if name not in up]
        if absent:
            raise LifeFailed("not on standby: %s (known: %s)" % (", ".join(absent), ", ".join(up)))
        forms = [up[name] for name in order.forms] if order.forms else self.up
        kinds = [request.type for request in self.context.plan.requests]
        if order.request and order.request not in kinds:
            raise LifeFailed("no request type %s (known: %s)" % (order.request, ", ".join(kinds)))
        if order.kind == "load" and not (forms and len(forms) <= LOAD_FORMS_MOST and order.requests):
            raise LifeFailed("a load takes one to %d forms and at least one request" % LOAD_FORMS_MOST)
        if order.kind in ("attach", "detach") and len(forms) != 1:
            raise LifeFailed("%s takes one form" % order.kind)
        if order.agent_of and order.agent_of not in self.context.plan.forms:
            raise LifeFailed("no form %s in the plan" % order.agent_of)
        return forms

    def _limit_s(self, order: Order, forms: int) -> float:
        times = self.context.plan.timeouts
        if order.kind == "load":
            return load_limit_s(self.context, order, forms)
        one = request_limit_s(self.context, order)
        if order.kind == "request":
            return one
        agents = max([spec.agent.ready_timeout_s for spec in self.context.plan.forms.values() if spec.agent] or [0.0])
        return times.stop_s + agents + one * (forms if order.kind == "reprove" else 1)

    def _do(self, order: Order, forms: list[Running]) -> bool:
        """Whether every form ended well. Raises OrderStopped, LifeFailed, Stopped."""
        if order.kind == "request":
            return self._request(order, forms)
        if order.kind == "load":
            load = LiveLoad(self.context, self.orders, order)
            load.run(forms)
            return load.ok
        if order.kind == "attach":
            return attach_order(self.context, self.orders, order, forms[0])
        if order.kind == "detach":
            return detach_order(self.context, self.orders, order, forms[0])
        self.rounds += 1
        ok = _reprove(self.context, forms, self.rounds, order=order.id, reattach=order.reattach)
        self._round()
        return ok

    def _request(self, order: Order, forms: list[Running]) -> bool:
        good: list[bool] = []

        def ended(end: RequestEnded) -> None:
            good.append(end.ok)
            self.orders.tell(end)

        LiveRequest(self.context, self.orders, order, ended).run(forms)
        return all(good)


def _start(context: RunContext) -> list[Running]:
    """Start every form of the plan and prove it by one request of each type; a form that fails is stopped."""
    up = []
    for life in context.plan.lives:
        work, others = context.work / life.form, list(context.children.processes)
        work.mkdir()
        try:
            running = start_life(context, life, life.form, work)
            canary = prove(context, running)
            if running.agents:
                renew(context, running)
                attach(context, running)
            _proof(context, 1, canary, running)
            up.append(running)
        except LifeFailed as failure:
            _failed(context, life.form, failure, 1)
            for child in [child for child in context.children.processes if child not in others]:
                child.stop(context.plan.timeouts.stop_s)
            context.children.processes[:] = others
    return up


def _reprove(context: RunContext, up: Sequence[Running], rounds: int, *, order: str, reattach: bool) -> bool:
    """Send one request to each form, to silent ones first, since their proof takes longest. Whether all are proven."""
    began = time.monotonic()
    sent: dict[str, SentCanaries] = {}
    failed: set[str] = set()

    def tried(step: Callable[[Running], None], those: list[Running]) -> None:
        for running in those:
            try:
                if running.id not in failed:
                    step(running)
            except LifeFailed as failure:
                failed.add(running.id)
                _failed(context, running.id, failure, rounds, order)

    def ask(running: Running) -> None:
        rotate(running)
        sent[running.id] = send(context, running, context.plan.canary[:1])

    def answered(running: Running) -> None:
        canary = judge(context, running, sent[running.id], context.plan.timeouts.quiet_s * SILENT)
        _proof(context, rounds, canary, running, time.monotonic() - began, order=order, reattach=reattach)
        if not canary.ok:
            failed.add(running.id)

    agents = [running for running in up if running.form.agent is not None]
    silent = [running for running in up if running.form.proof != "some"]
    others = [running for running in up if running not in agents and running not in silent]
    if reattach:
        tried(lambda running: renew(context, running), agents)  # they attach while the others answer
    tried(ask, silent + others)
    if reattach:
        tried(lambda running: attach(context, running), agents)
    tried(ask, agents)
    tried(answered, others + agents + silent)
    return not failed


def _proof(
    context: RunContext,
    rounds: int,
    canary: Canary,
    running: Running,
    seconds: float | None = None,
    *,
    order: str = "",
    reattach: bool = True,
) -> None:
    """Emit a proof. seconds: since the order began; reattach: with a new agent."""
    _tell(
        context,
        Proof(
            order=order,
            at_ns=time.time_ns(),
            form=running.id,
            ok=canary.ok,
            reason=canary.reason,
            round=rounds,
            gaps=canary.gaps,
            spans=sum(len(request.spans) for request in canary.requests),
            attach_s=running.attach_s if reattach else None,
            seconds=seconds,
            first_span_s=canary.first_span_s,
        ),
    )


def _failed(context: RunContext, form: str, failure: LifeFailed, rounds: int, order: str = "") -> None:
    _tell(context, Proof(order, time.time_ns(), form, ok=False, reason=str(failure), round=rounds))


def _tell(context: RunContext, proof: Proof) -> None:
    context.journal.emit("proof", **encode(proof))
