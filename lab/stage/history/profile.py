"""What a show rests on now: the machine, the forms on standby in it, the tools, the show file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from lab import forms
from lab.flows import standby
from lab.flows.request import DemoRequest, Described, described
from lab.guest.wire import LIMITS, PLAN_FILE, FormSpec, Plan, WireError, load
from lab.machines import lifecycle
from lab.model.errors import PreconditionError
from lab.model.facts import MachineFacts
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.machine import Machine
from lab.remote.base import Transport
from lab.runs import drive
from lab.stage.history import inputs
from lab.stage.history.inputs import Inputs
from lab.stage.show import advice
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
    found, fix = lifecycle.machine(lab, machine), advice.rehearse(show, machine)
    if found is None:
        raise PreconditionError(f"there is no machine {machine}", fix=fix)
    record = standby.kept(lab, machine)
    artifacts = forms.build(lab, show.asked.forms, show.asked.service, arch=found.spec.arch)
    with lifecycle.connected(lab, found) as link:
        plan, facts, old = _asked(lab, found, link, record, fix)
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
            *_other_forms(plan.forms, show.asked, artifacts, _known(found, facts), record.topology),
            *([f"its requests have seed {plan.seed}, not {show.keys.seed}"] if plan.seed != show.keys.seed else []),
            *_other_requests(record, show.asked, now),
            *(["the guest half of another lab holds them"] if old else []),
        ),
    )


def _known(machine: Machine, facts: MachineFacts) -> MachineFacts:
    """With what the machine itself cannot tell of its processor, as where forms are put on standby."""
    return facts.but(emulated=machine.accel == "tcg" or facts.emulated, clock=machine.clock)


def _other_forms(
    there: Mapping[str, FormSpec],
    asked: DemoRequest,
    artifacts: Mapping[str, Artifact],
    facts: MachineFacts,
    topology: str,
) -> list[str]:
    """Forms on standby that would be put there otherwise now: another program or agent, or other settings."""
    found = []
    for form in asked.forms:
        held = there.get(form.name)
        if held is None:
            continue
        now = forms.form_spec(form, artifacts, facts, topology=topology, service=asked.service, scenario=asked.scenario)
        if form.delay is not None:  # its size is in them, and each measured run would give another one
            now = replace(now, args=held.args)
        if _programs(held) != _programs(now):
            found.append(f"{form.name} is of another build")
        elif held != now:
            other = [one.name for one in fields(now) if getattr(held, one.name) != getattr(now, one.name)]
            found.append(f"{form.name} has other settings: {', '.join(other)}")
    return found


def _programs(spec: FormSpec) -> tuple[str, str]:
    return spec.sha256, spec.agent.sha256 if spec.agent else ""


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


def _asked(
    lab: Lab, machine: Machine, link: Transport, record: standby.Standby, fix: str
) -> tuple[Plan, MachineFacts, bool]:
    """The plan of what is on standby, the machine's facts, and whether another guest half put it there. fix: the
    command that puts the forms there again."""
    deadline = Deadline.after(ASK_S, lab.cancel)
    path = f"{record.site.out}/{PLAN_FILE}"
    data = b"".join(link.stream(path, 0, deadline, max_bytes=LIMITS.size))
    try:
        plan = load(Plan, data)
    except WireError as error:
        message = f"{path} in machine {machine.spec.name} cannot be read: {error}"
        raise PreconditionError(message, fix=f"{fix}: it puts the forms there again") from error
    home = drive.GuestHome(root=record.site.root)
    own = link.run(["grep", "-qF", home.guest, f"/proc/{record.pid}/cmdline"], deadline).ok
    drive.install(link, home, deadline)
    facts, _ = drive.facts(link, home, deadline)
    return plan, facts, not own
