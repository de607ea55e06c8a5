"""Standby forms: kept running in a machine and proven again there, for a show and for a demo-ready snapshot."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from lab import forms
from lab.flows import patience, stages
from lab.flows.prepare import Prepared
from lab.flows.request import DemoRequest, Described, described
from lab.guest.wire import decode, encode
from lab.guest.wire.live import LiveEvent, Order, Proof, live_to_json
from lab.machines import lifecycle, presence
from lab.model.errors import DemoError, PreconditionError
from lab.model.events import GuestEvent
from lab.model.lab import Lab
from lab.model.machine import Clock
from lab.model.paths import STANDBY_FILE
from lab.runs import drive, orders
from lab.runs import plan as planning
from lab.system import documents, store
from lab.system.documents import Source
from lab.system.wait import Deadline

RUN_ID: Final = "standby"
START_S: Final = 600.0
Proofs = dict[str, Proof]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """What is on standby in a machine, and how to reach it; the record beside the machine, and in a snapshot."""

    forms: tuple[str, ...]
    requests: tuple[str, ...]
    seed: int
    clock: Clock
    scenario: str
    service: str
    topology: str
    site: drive.Site
    pid: int
    proofs: dict[str, Proof]  # of the start, by form
    described: Described | None = None  # None: put there by an earlier lab


def start(lab: Lab, name: str, asked: DemoRequest) -> Standby:
    """Deploy the forms into a ready machine, prove each, leave them on standby; writes the record beside the machine.

    Idempotent: replaces earlier standby forms. Raises DemoError when a proof fails.
    """
    found = lifecycle.machine(lab, name)
    if found is None:
        raise PreconditionError(f"no machine {name}", fix=f"lab up {name}")
    machine = lifecycle.up(lab, found.spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True)
    artifacts = forms.build(lab, asked.forms, asked.service, arch=found.spec.arch)
    ready = Prepared(asked=asked, machine=machine, artifacts=artifacts, left_out=())
    with lifecycle.connected(lab, machine) as transport, contextlib.ExitStack() as beginning:
        beginning.enter_context(presence.kept(lab, machine))
        deployed = stages.put(lab, ready, transport)
        plan = planning.without_load(stages.plan_of(deployed, RUN_ID))
        site = drive.Site(root=deployed.home.root, run_id=RUN_ID)
        deadline = Deadline.after(max(START_S, patience.limit_s(plan)), lab.cancel)
        with lab.bus.step("standby", f"start {len(plan.lives)} forms on standby") as step:
            pid = drive.start_standby(transport, site, plan, deployed.artifacts, deadline)
            beginning.close()
            with orders.OrderSession(lab, lambda: contextlib.nullcontext(transport), site, pid, at=0) as session:
                proofs = _first_round(lab, session, deadline)
            step.say(", ".join(proofs))
        _all_proven(proofs)
    record = Standby(
        forms=tuple(form.name for form in asked.forms),
        requests=tuple(request.type for request in plan.requests),
        seed=plan.seed,
        clock=machine.clock,
        scenario=str(asked.scenario.path.absolute()),
        service=str(asked.service.root.absolute()),
        topology=plan.service.topology,
        site=site,
        pid=pid,
        proofs=proofs,
        described=described(asked),
    )
    keep(lab, name, record)
    return record


def keep(lab: Lab, name: str, record: Standby) -> None:
    """What is on standby in this machine now."""
    store.write_json(lab.paths.machine(name) / STANDBY_FILE, encode(record))


def kept(lab: Lab, name: str) -> Standby:
    """Raises PreconditionError where nothing is on standby, Unreadable where the record is damaged."""
    path, fix = lab.paths.machine(name) / STANDBY_FILE, f"lab snapshot {name} --form …"
    if not path.exists():
        raise PreconditionError(f"no forms are on standby in machine {name}", fix=fix)
    return documents.read(Source(path=path, name=str(path), fix=fix), Standby)


def reprove(lab: Lab, connect: drive.Connect, record: Standby, *, reattach: bool = False) -> Proofs:
    """Prove every form by one request, with an event for each. reattach: with newly attached agents.

    Raises DemoError when the standby process does not answer.
    """
    proofs: Proofs = {}
    with lab.bus.step("reprove", f"prove {len(record.forms)} forms again") as step:
        with orders.OrderSession(lab, connect, record.site, record.pid) as session:
            order = Order(id=orders.new_id(), kind="reprove", reattach=reattach)
            for event in session.give(order, slower=patience.slower(record.clock)):
                _tell(lab, proofs, event)
        for name in record.forms:
            absent = Proof(order=order.id, at_ns=0, form=name, ok=False, reason="it is not on standby any more")
            proofs.setdefault(name, absent)
        step.say(", ".join(f"{name} {'proven' if one.ok else 'NOT PROVEN'}" for name, one in proofs.items()))
    return proofs


def _tell(lab: Lab, proofs: Proofs, event: LiveEvent) -> None:
    if isinstance(event, Proof):
        proofs[event.form] = event
        lab.bus.emit(GuestEvent(at_ns=event.at_ns, **live_to_json(event)))


def _first_round(lab: Lab, session: orders.OrderSession, deadline: Deadline) -> Proofs:
    proofs: Proofs = {}
    for record in session.records(deadline):
        if record.kind == "proof":
            _tell(lab, proofs, decode(Proof, record.data))
        if record.kind == "failed":
            raise DemoError(f"the standby forms failed: {record.data.get('reason')}", fix="lab logs")
        if record.kind == "state" and record.data.get("round") == 1:
            break
    return proofs


def _all_proven(proofs: Proofs) -> None:
    bad = [f"{name}: {one.reason}" for name, one in proofs.items() if not one.ok]
    if bad:
        raise DemoError("not every form is proven", fix="run lab deploy: it reports each proof", detail="\n".join(bad))
