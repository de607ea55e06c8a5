"""Forms kept up in a machine and proven again there: a snapshot from which a demo can go on at once."""

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
POLL_S: Final = 0.1  # a span is awaited by somebody who looks at a clock
ALIVE_S: Final = 15.0
# its number may be another's by now, who would be ended by such a signal
SIGNAL: Final = 'tr "\\0" " " < "/proc/$1/cmdline" | grep -q " held " && kill -s "$2" "$1"'
Proofs = dict[str, dict[str, Any]]


def hold(lab: Lab, name: str, asked: DemoRequest) -> dict[str, Any]:
    """Put the forms into a ready machine, prove each, and leave them running. Returns what `again` needs, as JSON.

    Idempotent: forms that were kept up before are replaced. Raises DemoError when one does not prove itself.
    """
    found = lifecycle.machine(lab, name)
    if found is None:
        raise PreconditionError(f"there is no machine {name}", fix=f"lab up {name}")
    machine = lifecycle.up(lab, found.spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True)
    artifacts = forms.build(lab, asked.forms, asked.service, arch=found.spec.arch)
    ready = Prepared(asked=asked, machine=machine, artifacts=artifacts, left_out=())
    with lifecycle.connected(lab, machine) as transport, contextlib.ExitStack() as beginning:
        beginning.enter_context(presence.kept(lab, machine))
        deployed = stages.put(lab, ready, transport)
        plan = planning.without_load(stages.plan_of(deployed, RUN_ID))
        site = drive.Site(root=deployed.home.root, run_id=RUN_ID)
        deadline = Deadline.after(HOLD_S, lab.cancel)
        with lab.bus.step("hold", f"keep {len(plan.lives)} forms up") as step:
            drive.start(transport, site, plan, deployed.artifacts, deadline, verb="hold")
            beginning.close()
            seen = drive.Followed()

            def lives() -> bool:
                return bool(drive.call(transport, site, deadline, "status", "--out", site.out)["alive"])

            proofs = _round(lab, transport, site, seen, 1, deadline, lives)
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
        "offset": seen.offset,
    }


def reprove(lab: Lab, transport: Transport, held: Mapping[str, Any], *, reattach: bool = False) -> Proofs:
    """Prove every form by one request, told as each is; form -> {"ok", "reason", "seconds", …}.

    reattach: by agents that are attached now. Raises DemoError when what was kept up does not answer.
    """
    at = held["site"]
    site, seen = drive.Site(root=at["root"], run_id=at["run_id"]), drive.Followed(offset=int(held["offset"]))
    deadline = Deadline.after(AGAIN_S, lab.cancel)
    with lab.bus.step("again", f"prove {len(held['forms'])} forms again") as step:

        def signalled(number: str) -> proc.Result:
            return transport.run(["sh", "-c", SIGNAL, "again", str(held["pid"]), number], deadline)

        earlier = drive.read_new(transport, site, seen, deadline)  # one that was asked since it was kept
        rounds = max([1, *(int(one.data["round"]) for one in earlier if one.kind == "state" and "round" in one.data)])
        said = signalled("USR2" if reattach else "USR1")
        if not said.ok:
            raise DemoError("the standby process exited", fix="lab snapshot --form …", detail=said.tail())
        # asked without the guest half's own file, which may be another version's by now
        proofs = _round(lab, transport, site, seen, rounds + 1, deadline, lambda: signalled("0").ok)
        for name in held["forms"]:
            proofs.setdefault(name, {"form": name, "ok": False, "reason": "no proof was reported", "spans": 0})
        step.say(", ".join(f"{name} {'proven' if one['ok'] else 'NOT PROVEN'}" for name, one in proofs.items()))
    return proofs


def _round(
    lab: Lab,
    transport: Transport,
    site: drive.Site,
    seen: drive.Followed,
    number: int,
    deadline: Deadline,
    lives: Callable[[], bool],
) -> Proofs:
    """Follow one round to its end."""
    proofs: Proofs = {}
    look = Deadline.after(ALIVE_S)
    while True:
        for record in drive.read_new(transport, site, seen, deadline):
            lab.bus.emit(GuestEvent(kind=record.kind, at_ns=record.at_ns, data=record.data))
            if record.kind == "proof" and record.data.get("round") == number:
                proofs[str(record.data["form"])] = dict(record.data)
            if record.kind == "failed":
                raise DemoError(f"the forms did not start: {record.data.get('reason')}", fix="lab logs")
            if record.kind == "state" and record.data.get("round") == number:
                return proofs
        if deadline.passed():
            raise DemoError("the forms were not proven in time", fix="lab logs, then run the command again")
        if look.passed():
            if not lives():
                raise DemoError("the standby process exited", fix="run the command again")
            look = Deadline.after(ALIVE_S)
        deadline.sleep(POLL_S)


def _all_proven(proofs: Proofs) -> None:
    bad = [f"{name}: {one['reason']}" for name, one in proofs.items() if not one["ok"]]
    if bad:
        raise DemoError("not every form was proven", fix="lab deploy, which reports each proof", detail="\n".join(bad))
