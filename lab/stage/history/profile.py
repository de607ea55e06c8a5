"""What a show rests on now: the machine, the forms on standby in it, the tools, the show file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab import forms
from lab.flows import standby
from lab.flows.request import DemoRequest, Described, described
from lab.guest.wire import LIMITS, PLAN_FILE, Plan, WireError, load
from lab.machines import lifecycle
from lab.model.errors import PreconditionError
from lab.model.facts import MachineFacts
from lab.model.lab import Lab
from lab.model.machine import Machine
from lab.remote.base import Transport
from lab.runs import drive
from lab.stage.history import inputs
from lab.stage.history.inputs import Inputs
from lab.stage.show.show import Show
from lab.system.wait import Deadline

ASK_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`wrong`: what is on standby otherwise than this show would put it there now, a clause each."""

    inputs: Inputs
    wrong: tuple[str, ...] = ()


def of(lab: Lab, machine: str, show: Show) -> Profile:
    """Ask the machine and the caches. Raises PreconditionError where there is no machine, or nothing on standby."""
    found = lifecycle.machine(lab, machine)
    if found is None:
        raise PreconditionError(f"there is no machine {machine}", fix=f"lab rehearse --name {machine}")
    record = standby.kept(lab, machine)
    artifacts = forms.build(lab, show.asked.forms, show.asked.service, arch=found.spec.arch)
    with lifecycle.connected(lab, found) as link:
        plan, facts, old = _asked(lab, found, link, record)
    wanted = [form.name for form in show.asked.forms]
    now = described(show.asked)
    return Profile(
        inputs=inputs.of(
            found,
            facts,
            {name: spec for name, spec in plan.forms.items() if name in wanted},
            artifacts.values(),
            inputs.of_host(show),
        ),
        wrong=(
            *(f"{name} is not there" for name in wanted if name not in plan.forms),
            *(
                f"{name} is of another build"
                for name in wanted
                if name in plan.forms and plan.forms[name].sha256 != artifacts[name].sha256
            ),
            *([f"its requests have seed {plan.seed}, not {show.keys.seed}"] if plan.seed != show.keys.seed else []),
            *_other_requests(record, show.asked, now),
            *(["the guest half of another lab holds them"] if old else []),
        ),
    )


def _other_requests(record: standby.Standby, asked: DemoRequest, now: Described) -> list[str]:
    """Why what is on standby answers other requests than the show would send. Files are compared by what is in them:
    an edited scenario is another one under the same name."""
    before, found = record.described, []
    scenario = asked.scenario
    if before is None or before.scenario != now.scenario:
        found.append(f"its requests are those of {record.scenario}, not of {scenario.path} as it is now")
    elif record.topology != scenario.topology:
        found.append(f"its topology is {record.topology}, not {scenario.topology}")
    if before is None or before.service != now.service:
        found.append(f"its service is the one in {record.service}, not that in {asked.service.root} as it is now")
    return found


def _asked(lab: Lab, machine: Machine, link: Transport, record: standby.Standby) -> tuple[Plan, MachineFacts, bool]:
    """The plan of what is on standby, the machine's facts, and whether another guest half put it there."""
    deadline = Deadline.after(ASK_S, lab.cancel)
    path = f"{record.site.out}/{PLAN_FILE}"
    data = b"".join(link.stream(path, 0, deadline, max_bytes=LIMITS.size))
    try:
        plan = load(Plan, data)
    except WireError as error:
        message = f"{path} in machine {machine.spec.name} cannot be read: {error}"
        raise PreconditionError(message, fix="lab rehearse: it puts the forms there again") from error
    home = drive.GuestHome(root=record.site.root)
    own = link.run(["grep", "-qF", home.guest, f"/proc/{record.pid}/cmdline"], deadline).ok
    drive.install(link, home, deadline)
    facts, _ = drive.facts(link, home, deadline)
    return plan, facts, not own
