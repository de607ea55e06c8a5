"""Standby forms: kept running in a machine and proven again there, so that a snapshot is demo-ready at once."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from lab import forms
from lab.flows import stages
from lab.flows.prepare import Prepared
from lab.flows.request import DemoRequest
from lab.machines import lifecycle, presence
from lab.model.errors import DemoError, PreconditionError
from lab.model.events import GuestEvent
from lab.model.lab import Lab
from lab.remote.base import Transport
from lab.runs import drive
from lab.runs import plan as planning
from lab.system import proc
from lab.system.wait import Deadline

RUN_ID: Final = "held"
HOLD_S: Final = 600.0
AGAIN_S: Final = 120.0
POLL_S: Final = 0.1  # short: people wait for the span
ALIVE_S: Final = 15.0
# the pid may be reused by another process, which the signal would end
SIGNAL: Final = 'tr "\\0" " " < "/proc/$1/cmdline" | grep -q " held " && kill -s "$2" "$1"'
Proofs = dict[str, dict[str, Any]]


def hold(lab: Lab, name: str, asked: DemoRequest) -> dict[str, Any]:
    """Deploy the forms into a ready machine, prove each, leave them running. Returns what `reprove` needs, as JSON.

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
        deadline = Deadline.after(HOLD_S, lab.cancel)
        with lab.bus.step("hold", f"start {len(plan.lives)} forms on standby") as step:
            drive.start(transport, site, plan, deployed.artifacts, deadline, verb="hold")
            beginning.close()
            progress = drive.Followed()

            def lives() -> bool:
                return bool(drive.call(transport, site, deadline, "status", "--out", site.out)["alive"])

            proofs = _round(lab, transport, site, progress, 1, deadline, lives)
            step.say(", ".join(proofs))
        _all_proven(proofs)
        pid = drive.pid(transport, site, deadline)
    return {
        "forms": [form.name for form in asked.forms],
        "proofs": proofs,
        "scenario": str(asked.scenario.path.absolute()),
        "service": str(asked.service.root.absolute()),
        "topology": plan.service.topology,
        "site": dataclasses.asdict(site),
        "pid": pid,
        "offset": progress.offset,
    }


def reprove(lab: Lab, transport: Transport, held: Mapping[str, Any], *, reattach: bool = False) -> Proofs:
    """Prove every form by one request, with an event for each; form -> {"ok", "reason", "seconds", …}.

    reattach: with newly attached agents. Raises DemoError when the standby process does not answer.
    """
    at = held["site"]
    site, progress = drive.Site(root=at["root"], run_id=at["run_id"]), drive.Followed(offset=int(held["offset"]))
    deadline = Deadline.after(AGAIN_S, lab.cancel)
    with lab.bus.step("again", f"prove {len(held['forms'])} forms again") as step:

        def signalled(number: str) -> proc.Result:
            return transport.run(["sh", "-c", SIGNAL, "again", str(held["pid"]), number], deadline)

        earlier = drive.read_new(transport, site, progress, deadline)  # rounds since the snapshot
        rounds = max([1, *(int(one.data["round"]) for one in earlier if one.kind == "state" and "round" in one.data)])
        sent = signalled("USR2" if reattach else "USR1")
        if not sent.ok:
            raise DemoError("the standby process exited", fix="run lab restore again", detail=sent.tail())
        # not through the guest half's file: by now it may be of another version
        proofs = _round(lab, transport, site, progress, rounds + 1, deadline, lambda: signalled("0").ok)
        for name in held["forms"]:
            proofs.setdefault(name, {"form": name, "ok": False, "reason": "no proof was reported", "spans": 0})
        step.say(", ".join(f"{name} {'proven' if one['ok'] else 'NOT PROVEN'}" for name, one in proofs.items()))
    return proofs


def _round(
    lab: Lab,
    transport: Transport,
    site: drive.Site,
    progress: drive.Followed,
    number: int,
    deadline: Deadline,
    lives: Callable[[], bool],
) -> Proofs:
    """Follow one round to its end."""
    proofs: Proofs = {}
    look = Deadline.after(ALIVE_S)
    while True:
        for record in drive.read_new(transport, site, progress, deadline):
            lab.bus.emit(GuestEvent(kind=record.kind, at_ns=record.at_ns, data=record.data))
            if record.kind == "proof" and record.data.get("round") == number:
                proofs[str(record.data["form"])] = dict(record.data)
            if record.kind == "failed":
                raise DemoError(f"the standby forms failed: {record.data.get('reason')}", fix="lab logs")
            if record.kind == "state" and record.data.get("round") == number:
                return proofs
        if deadline.passed():
            raise DemoError("the forms were not proven in time", fix="see lab logs, then run the command again")
        if look.passed():
            if not lives():
                again = "lab restore" if number > 1 else "the command"
                raise DemoError("the standby process exited", fix=f"run {again} again")
            look = Deadline.after(ALIVE_S)
        deadline.sleep(POLL_S)


def _all_proven(proofs: Proofs) -> None:
    bad = [f"{name}: {one['reason']}" for name, one in proofs.items() if not one["ok"]]
    if bad:
        raise DemoError("not every form is proven", fix="run lab deploy: it reports each proof", detail="\n".join(bad))
