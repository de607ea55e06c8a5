"""Forms kept up together, each with its own sink, and proven again on request: what a demo-ready snapshot keeps.

A memory snapshot brings the processes back as they were. Agents are attached again once their form is proven, so that
those in a snapshot are fresh: an agent's maps fill with use. Services go on as they are.
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
REATTACH = signal.SIGUSR2  # the same, by agents that are attached again
LOOK_S = 5.0
SILENT = 0.5  # of what a first proof waits for spans that must not come: this form was silent then


def hold(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> None:
    """Start every form, prove it, then wait; ends when asked to. Raises Busy, Stopped.

    Tells "state" held with the round (1: the start), after one "proof" per form; a form that fails is reported and the
    others stay up. What an earlier one left is cleared.
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(out, plan.digest(), holds=True)
    try:
        ending.end_children(ending.runs_of(str(out)))
        for path in out.iterdir():
            if path.is_dir():
                shutil.rmtree(str(path))
            elif path.name != LAUNCH_LOG:  # it is written to now
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
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)  # a wait ends with the signal, not at its next look
    for number in (REPROVE, REATTACH):
        signal.signal(number, lambda *_: None)
    try:
        up = _start(bench)
        rounds = 1
        while True:
            _told(bench, rounds)
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
    """Until it is asked for a round, and for which. Raises Stopped."""
    while True:
        bench.cancel.check()
        if select.select([asked], [], [], LOOK_S)[0]:
            said = os.read(asked, 4096)
            for number in (REATTACH, REPROVE):
                if number in said:
                    return number


def _told(bench: RunContext, rounds: int) -> None:
    bench.journal.emit("state", phase="held", round=rounds)
    write_state(bench.out, bench.plan.digest(), "held", rounds, rounds)


def _start(bench: RunContext) -> list[Running]:
    """Every form of the plan up and proven by one request of each type; of one that fails nothing stays up."""
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
    """Another agent for each that is there; `attach` waits for them. Raises LifeFailed."""
    for agent in [agent for agent in running.agents if agent in bench.nursery.children]:
        agent.kill()  # what it still held is from before; the new one takes its pins away
        bench.nursery.children.remove(agent)
        with contextlib.suppress(FileNotFoundError):  # one that never attached
            (running.work / (agent.name + ".ready")).unlink()
    start_agents(bench, running)


def _reprove(bench: RunContext, up: list[Running], rounds: int, *, reattach: bool) -> None:
    """One request each. Whose answer takes long is asked first: a form that must stay silent is waited for."""
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
        tried(lambda running: _renew(bench, running), agents)  # they attach while the others are asked
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
    """`seconds`: since it was asked for; spans: how many the requests gave; reattach: by a new agent."""
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
