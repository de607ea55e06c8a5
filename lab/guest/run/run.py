"""A run: lives in the order of the plan, complete cells kept over any kill, one rerun of an invalid cell, the seal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

from lab.guest.linux import ending
from lab.guest.linux.accounts import DELEGATED_ENV, open_accounts
from lab.guest.linux.atomic_files import publish, write_text
from lab.guest.linux.child import LOGS_DIR, ChildProcesses, tail
from lab.guest.linux.facts import facts, systemd_runs
from lab.guest.linux.idle import executed
from lab.guest.linux.waiting import Cancel, Stopped, sleep
from lab.guest.run.canary import prove
from lab.guest.run.cell import cell_folder, run_cell
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.done import LIFE_FILE, LIVES_DIR, attempts, find_done, life_failure, next_attempt, started
from lab.guest.run.journal import Journal, write_state
from lab.guest.run.late_spans import settle
from lab.guest.run.life import Running, start_life, stop_life
from lab.guest.run.lock import Lock
from lab.guest.run.seal import WORK_DIR, read_seal, seal
from lab.guest.wire import (
    CANARY_FILE,
    CELLS_DIR,
    COUNTED,
    FACTS_FILE,
    PLAN_FILE,
    Canary,
    CellPlan,
    GuestManifest,
    Life,
    Plan,
    dump,
    load,
)

LOG_BYTES = 1_000_000  # the end of each log that is kept


class OtherPlan(Exception):
    """The folder belongs to another plan."""


def run(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> GuestManifest:
    """Run the missing part of the plan and seal `out`; idempotent. Raises Busy, OtherPlan, Stopped."""
    digest = plan.digest()
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(out, digest)
    try:
        _own_folder(out, plan)
        sealed = read_seal(out)
        if sealed is not None:
            return sealed
        return _locked_run(plan, out, artifacts, env, cancel)
    finally:
        lock.close()


def _own_folder(out: Path, plan: Plan) -> None:
    path = out / PLAN_FILE
    if path.exists():
        if load(Plan, path.read_bytes()).digest() != plan.digest():
            raise OtherPlan("%s belongs to another plan" % out)
        return
    write_text(path, dump(plan) + "\n")


def _locked_run(plan: Plan, out: Path, artifacts: Path, env: dict[str, str], cancel: Cancel) -> GuestManifest:
    work = out / WORK_DIR
    runs = ending.runs_of(str(out))
    left = ending.end_children(runs)
    _clear(out, work)
    systemd = systemd_runs()
    accounts = open_accounts(ending.tag(runs), delegated=bool(env.get(DELEGATED_ENV)), systemd=systemd)
    journal = Journal(out)
    children = ChildProcesses(accounts=accounts, out=out)
    context = RunContext(plan, out, work, artifacts, journal, accounts, children, cancel, systemd)
    if left:
        journal.emit("notice", text="ended %d processes left by a killed run" % left)
    if not (out / FACTS_FILE).exists():
        write_text(out / FACTS_FILE, json.dumps({**facts(), "accounting": accounts.source}, sort_keys=True) + "\n")
    try:
        with executed(wanted=plan.clock == COUNTED) as idle:
            return _lives(context, idle=idle)
    except Stopped:
        journal.emit("state", phase="stopped")
        _state(context, "failed", "stopped on request; run start again to resume")
        raise
    except BaseException as error:
        journal.emit("failed", reason="%s: %s" % (type(error).__name__, error))
        _state(context, "failed", "%s: %s" % (type(error).__name__, error))
        raise
    finally:
        children.stop_all(plan.timeouts.stop_s)
        accounts.close()
        journal.close()


def _clear(out: Path, work: Path) -> None:
    """Remove the incomplete folders of a killed start."""
    shutil.rmtree(str(work), ignore_errors=True)
    work.mkdir()
    for folder in (out / CELLS_DIR, out / LIVES_DIR):
        folder.mkdir(exist_ok=True)
        for half in folder.glob(".tmp-*"):
            shutil.rmtree(str(half), ignore_errors=True)


def _lives(context: RunContext, *, idle: bool) -> GuestManifest:
    find_done(context)
    known = {"resumed": bool(context.finished), "accounting": context.accounts.source, "idle_executed": idle}
    context.journal.emit("state", phase="running", **known)
    _state(context, "running")
    for life in context.plan.lives:
        while not life_failure(context, life):
            todo = [(c, n) for c in life.cells for n in [next_attempt(context, c)] if n]
            if not todo and (life.cells or started(context, life)):  # a life without cells is run for its proof
                break
            _one_life(context, life, todo)
            _state(context, "running")
    return _finish(context)


def _one_life(context: RunContext, life: Life, todo: list[tuple[CellPlan, int]]) -> None:
    """Start the form, prove it, run its cells until one of its processes dies; reports and records failures."""
    ident = _life_id(context, life)
    work = context.work / ident
    work.mkdir()
    running: Running | None = None
    context.journal.emit("life", id=ident, form=life.form, block=life.block, phase="starting", said="starting")
    try:
        running = start_life(context, life, ident, work)
        _tell_ready(context, running)
        canary = prove(context, running)
        _tell_proof(context, canary)
        _publish_life(context, ident, life, running, canary, canary.reason and "proof: " + canary.reason)
        for cell, attempt in todo if canary.ok else ():
            if cell.id in context.finished:  # an earlier one was too much
                break
            context.cells[cell.id, attempt] = run_cell(context, running, cell, attempt)
            next_attempt(context, cell)
            _state(context, "running")
            if running.broken():
                break
            sleep(context.cancel, context.plan.timeouts.idle_s)
    except LifeFailed as failure:
        # not "failed", which would end the whole run
        context.journal.emit("proof", form=life.form, ok=False, reason=str(failure), first_span_s=None)
        _publish_life(context, ident, life, None, None, str(failure))
    finally:
        codes = stop_life(context)
    if running is not None:
        settle(context, running)
    _keep_logs(context, ident, work)
    context.journal.emit("life", id=ident, form=life.form, phase="stopped", said="stopped", codes=codes)
    shutil.rmtree(str(work), ignore_errors=True)


def _tell_ready(context: RunContext, running: Running) -> None:
    text = "ready after %.1f s" % running.startup_s
    if running.attach_s is not None:
        text += ", agent attached after %.1f s" % running.attach_s
    context.journal.emit(
        "life",
        id=running.id,
        form=running.form.name,
        phase="ready",
        said=text,
        startup_s=running.startup_s,
        attach_s=running.attach_s,
    )


def _life_id(context: RunContext, life: Life) -> str:
    prefix = "%d-%s" % (life.block, life.form)
    number = 1
    while (context.out / LIVES_DIR / ("%s.%d" % (prefix, number))).exists():
        number += 1
    return "%s.%d" % (prefix, number)


def _tell_proof(context: RunContext, canary: Canary) -> None:
    context.journal.emit(
        "proof",
        form=canary.form,
        ok=canary.ok,
        reason=canary.reason,
        gaps=canary.gaps,
        first_span_s=canary.first_span_s,
    )
    for request in canary.requests:
        for span in request.spans:
            context.journal.emit("span", form=canary.form, request=request.type, span=json.loads(dump(span)))


def _publish_life(
    context: RunContext, ident: str, life: Life, running: Running | None, canary: Canary | None, failure: str
) -> None:
    """Publish lives/ID before the first cell, so that every cell has its proof."""
    temp = context.out / LIVES_DIR / (".tmp-" + ident)
    temp.mkdir()
    doc = {"schema": 1, "id": ident, "block": life.block, "form": life.form, "ok": not failure, "reason": failure}
    if running is not None:
        doc.update(startup_s=running.startup_s, attach_s=running.attach_s, first_span_s=running.first_span_s)
        doc.update(agents=running.agent_said)
    if canary is not None:
        doc.update(gaps=canary.gaps)
    write_text(temp / LIFE_FILE, json.dumps(doc, sort_keys=True) + "\n")
    if canary is not None:
        write_text(temp / CANARY_FILE, dump(canary) + "\n")
    publish(temp, context.out / LIVES_DIR / ident)


def _keep_logs(context: RunContext, ident: str, work: Path) -> None:
    """Keep the stderr of our processes in the folder of the life."""
    folder = context.out / LIVES_DIR / ident
    for log in sorted((work / LOGS_DIR).glob("*.log")):
        text = tail(log, LOG_BYTES)
        if text and folder.is_dir():
            write_text(folder / log.name, text)


def _state(context: RunContext, phase: str, reason: str = "") -> None:
    total = sum(len(life.cells) for life in context.plan.lives)
    write_state(context.out, context.digest, phase, len(context.finished), total, reason)


def _finish(context: RunContext) -> GuestManifest:
    plan = context.plan
    _state(context, "sealing")
    cells = [c for life in plan.lives for c in life.cells]
    kept = tuple(cell_folder(c.id, a.attempt) for c in cells for a in attempts(context, c))
    failures = {life.form: reason for life in plan.lives for reason in [life_failure(context, life)] if reason}
    missing = [c.id for c in cells if c.id not in context.finished and not attempts(context, c)]
    reason = "; ".join("%s: %s" % item for item in sorted(failures.items()))
    outcome: Literal["complete", "failed"] = "failed" if missing or failures else "complete"
    context.journal.emit("done", outcome=outcome, reason=reason, cells=len(kept), missing=missing)
    manifest = seal(context.out, plan.run_id, context.digest, kept, outcome, reason)
    _state(context, outcome, reason)
    return manifest
