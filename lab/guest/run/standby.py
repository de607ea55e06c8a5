"""Standby: forms kept running together, each with its own sink, and proven again on request, for snapshots.

A memory snapshot restores the processes as they were. New agents are attached once their form is proven, so that
those in a snapshot are fresh: an agent's maps fill with use. Services stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from lab.guest.linux import ending
from lab.guest.linux.accounts import DELEGATED_ENV, open_accounts
from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.facts import systemd_runs
from lab.guest.linux.waiting import Cancel, Stopped
from lab.guest.run.canary import SentCanaries, judge, prove, rotate, send
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.journal import Journal, write_state
from lab.guest.run.life import Running, attach, start_agents, start_life
from lab.guest.run.lock import Lock
from lab.guest.run.seal import LAUNCH_LOG, WORK_DIR
from lab.guest.wire import PLAN_FILE, Canary, Plan, dump

REPROVE = signal.SIGUSR1  # prove every form again
REATTACH = signal.SIGUSR2  # the same, with new agents
LOOK_S = 5.0
SILENT = 0.5  # share of a first proof's wait for spans that must not arrive


def hold(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> None:
    """Start every form, prove it, then wait for signals until stopped. Raises Busy, Stopped.

    Emits one "proof" per form, then "state" held with the round (1: the start); a form that fails is reported and the
    others stay up. Removes what an earlier process left.
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(out, plan.digest(), holds=True)
    try:
        ending.end_children(ending.runs_of(str(out)))
        for path in out.iterdir():
            if path.is_dir():
                shutil.rmtree(str(path))
            elif path.name != LAUNCH_LOG:  # still open
                path.unlink()
        write_text(out / PLAN_FILE, dump(plan) + "\n")
        _held(_bench(plan, out, artifacts, env, cancel))
    finally:
        lock.close()


def _bench(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> RunContext:
    work, systemd = out / WORK_DIR, systemd_runs()
    work.mkdir()
    accounts = open_accounts(
        ending.tag(ending.runs_of(str(out))), delegated=bool(env.get(DELEGATED_ENV)), systemd=systemd
    )
    nursery = ChildProcesses(accounts=accounts, out=out)
    return RunContext(plan, out, work, artifacts, Journal(out), accounts, nursery, cancel, systemd)


def _held(bench: RunContext) -> None:
    asked, wake = os.pipe()
    for end in (asked, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)  # a signal ends the wait at once
    for number in (REPROVE, REATTACH):
        signal.signal(number, lambda *_: None)
    try:
        up = _start(bench)
        rounds = 1
        while True:
            _report(bench, rounds)
            wanted = _wait(bench, asked)
            rounds += 1
            _reprove(bench, up, rounds, reattach=wanted == REATTACH)
    except Stopped:
        bench.journal.emit("state", phase="stopped")
    except BaseException as error:
        bench.journal.emit("failed", reason="%s: %s" % (type(error).__name__, error))
        raise
    finally:
        bench.nursery.stop_all(bench.plan.timeouts.stop_s)
        bench.accounts.close()
        bench.journal.close()


def _wait(bench: RunContext, asked: int) -> int:
    """Wait for the signal of the next round; returns it. Raises Stopped."""
    while True:
        bench.cancel.check()
        if select.select([asked], [], [], LOOK_S)[0]:
            signals = os.read(asked, 4096)
            for number in (REATTACH, REPROVE):
                if number in signals:
                    return number


def _report(bench: RunContext, rounds: int) -> None:
    bench.journal.emit("state", phase="held", round=rounds)
    write_state(bench.out, bench.plan.digest(), "held", rounds, rounds)


def _start(bench: RunContext) -> list[Running]:
    """Start every form of the plan and prove it by one request of each type; a form that fails is stopped."""
    up = []
    for life in bench.plan.lives:
        work, others = bench.work / life.form, list(bench.nursery.children)
        work.mkdir()
        try:
            running = start_life(bench, life, life.form, work)
            canary = prove(bench, running)
            if running.agents:
                _renew(bench, running)
                attach(bench, running)
            _proof(bench, 1, canary, running)
            up.append(running)
        except LifeFailed as failure:
            bench.journal.emit("proof", form=life.form, ok=False, reason=str(failure), round=1)
            for child in [child for child in bench.nursery.children if child not in others]:
                child.stop(bench.plan.timeouts.stop_s)
            bench.nursery.children[:] = others
    return up


def _renew(bench: RunContext, running: Running) -> None:
    """Replace each agent; `attach` waits for the new ones. Raises LifeFailed."""
    for agent in [agent for agent in running.agents if agent in bench.nursery.children]:
        agent.kill()  # its spans are old; the new one removes its pins
        bench.nursery.children.remove(agent)
        with contextlib.suppress(FileNotFoundError):  # it never attached
            (running.work / (agent.name + ".ready")).unlink()
    start_agents(bench, running)


def _reprove(bench: RunContext, up: list[Running], rounds: int, *, reattach: bool) -> None:
    """Send one request to each form, to silent ones first, since their proof takes longest."""
    began = time.monotonic()
    sent: dict[str, SentCanaries] = {}
    failed: dict[str, str] = {}

    def tried(step: Callable[[Running], None], those: list[Running]) -> None:
        for running in those:
            try:
                if running.id not in failed:
                    step(running)
            except LifeFailed as failure:
                failed[running.id] = str(failure)
                bench.journal.emit("proof", form=running.form.name, ok=False, reason=str(failure), round=rounds)

    def ask(running: Running) -> None:
        rotate(running)
        sent[running.id] = send(bench, running, bench.plan.canary[:1])

    def answered(running: Running) -> None:
        canary = judge(bench, running, sent[running.id], bench.plan.timeouts.quiet_s * SILENT)
        _proof(bench, rounds, canary, running, time.monotonic() - began, reattach=reattach)

    agents = [running for running in up if running.agents]
    silent = [running for running in up if running.form.proof != "some"]
    others = [running for running in up if running not in agents and running not in silent]
    if reattach:
        tried(lambda running: _renew(bench, running), agents)  # they attach while the others answer
    tried(ask, silent + others)
    if reattach:
        tried(lambda running: attach(bench, running), agents)
    tried(ask, agents)
    tried(answered, others + agents + silent)


def _proof(
    bench: RunContext,
    rounds: int,
    canary: Canary,
    running: Running,
    seconds: float | None = None,
    *,
    reattach: bool = True,
) -> None:
    """Emit a proof. seconds: since the request for it; spans: their number; reattach: with a new agent."""
    spans = sum(len(request.spans) for request in canary.requests)
    bench.journal.emit(
        "proof",
        form=canary.form,
        ok=canary.ok,
        reason=canary.reason,
        gaps=canary.gaps,
        round=rounds,
        spans=spans,
        attach_s=running.attach_s if reattach else None,
        seconds=seconds,
        first_span_s=canary.first_span_s,
    )
