"""The main job: machine, forms, run, results, report; doing only what is missing, going on where a kill left it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab import forms
from lab.flows import deliver, report, resume, sizing, workshop
from lab.flows.left_out import left_out
from lab.flows.request import DemoRequest, resolve
from lab.flows.run_parallel import run_parallel
from lab.guest.wire import FormSpec, Plan, Tools, WireError, load
from lab.machines import lifecycle, presence
from lab.model.errors import DemoError, ProvisioningError
from lab.model.events import Notice, Progress
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.machine import Arch, Machine
from lab.model.paths import GUEST_DIR
from lab.model.run import LeftOut
from lab.remote.base import Transport
from lab.runs import drive, fetch, manifest
from lab.runs import plan as planning
from lab.system.wait import Deadline

CONNECT_S: Final = 60.0
SEAL_S: Final = 60.0
SETUP_S: Final = 900.0
CLOCK_S: Final = 3.0  # less is what asking takes
TOOLS: Final = ("sink", "load")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A machine that is up and artifacts that are built."""

    machine: Machine
    artifacts: dict[str, Artifact]
    left_out: tuple[LeftOut, ...] = ()

    def able(self, asked: DemoRequest) -> DemoRequest:
        """What was asked for, with the forms that can run."""
        gone = {each.form for each in self.left_out}
        return dataclasses.replace(asked, forms=tuple(form for form in asked.forms if form.name not in gone))

    @property
    def emulated(self) -> bool:
        return self.machine.accel == "tcg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Artifacts in the machine and what is known of it: enough to plan."""

    ready: Ready
    site: drive.Site
    facts: dict[str, Any]
    specs: dict[str, FormSpec]


def demo(lab: Lab, asked: DemoRequest) -> report.Reported:
    """Run the whole of it. Raises LabError subclasses; a run that was cut is found by its plan and gone on with."""
    resume.writable(lab)  # now, rather than after minutes of making
    recorder = resume.Recorder()
    lab.bus.add(recorder)
    ready = prepare(lab, asked)
    return run(lab, ready.able(asked), ready, recorder)


def prepare(lab: Lab, asked: DemoRequest) -> Ready:
    """A ready machine and built forms, side by side: one waits mostly for downloads, the other for the compiler."""
    spec = lab.config.machine.spec()
    if workshop.wanted(lab.config):
        machine = lifecycle.up(lab, spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True)
        if workshop.there(lab.config, machine):
            with connected(lab, machine) as transport:
                shop = workshop.opened(lab, machine, transport, guest_root(lab, machine))
                return _ready(machine, asked, _built(lab, asked, spec.arch, shop))
    machine, made = run_parallel(
        lab.cancel,
        lambda: lifecycle.up(lab, spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True),
        lambda: _built(lab, asked, spec.arch, None),
    )
    return _ready(machine, asked, made)


def _built(lab: Lab, asked: DemoRequest, arch: Arch, shop: forms.BuildMachine | None) -> forms.Outcome:
    """Raises what the forms failed with where none is left to run, or none to compare the others with."""
    made = forms.attempt(lab, asked.forms, asked.service, arch=arch, workshop=shop)
    bare = [form.name for form in asked.forms if form.mechanism == "none" and not form.of]
    if len(made.failed) == len(asked.forms):
        forms.raise_all(made.failed)
    if bare and not made.failed.keys().isdisjoint(bare):
        forms.raise_all({name: made.failed[name] for name in bare if name in made.failed})
    return made


def _ready(machine: Machine, asked: DemoRequest, made: forms.Outcome) -> Ready:
    return Ready(machine=machine, artifacts=made.artifacts, left_out=left_out(asked.forms, made.failed))


def run(lab: Lab, asked: DemoRequest, ready: Ready, recorder: resume.Recorder) -> report.Reported:
    """From a ready machine to the report."""
    machine = ready.machine
    with connected(lab, machine) as transport, presence.kept(lab, machine):
        deployed = deploy(lab, asked, ready, transport)
        directory, plan = resume.claim(lab, plan_of(asked, deployed))
        recorder.into(directory)
        site = drive.Site(root=deployed.site.root, artifacts=deployed.site.artifacts, run_id=plan.run_id)
        _announce(lab, plan)
        with lab.bus.step("start", "start the run in the machine"):
            begin(lab, transport, site, plan)
    follow_run(lab, machine, site, plan)
    fetch_run(lab, machine, site, directory)
    recorder.close()
    _seal(asked, deployed, plan, directory)
    return report.write(lab, manifest.publish(directory))


def begin(lab: Lab, transport: Transport, site: drive.Site, plan: Plan) -> None:
    """Start the plan in the machine; forms that were kept up there end for it, which is reported."""
    said = drive.start(transport, site, plan, Deadline.after(SETUP_S, lab.cancel))
    if said.get("gave_way"):
        lab.bus.emit(Notice(level="info", text="the forms that were kept up there were ended for this run"))


def _seal(asked: DemoRequest, deployed: Deployed, plan: Plan, directory: Path) -> None:
    """manifest.json, with the grade that the fetched cells and facts earn."""
    facts = _circumstances(asked, deployed)
    manifest.write(directory, plan, facts)
    manifest.write(directory, plan, facts, grade=report.grade(directory))


def deploy(lab: Lab, asked: DemoRequest, ready: Ready, transport: Transport) -> Deployed:
    """Put the artifacts there, read the machine's facts, resolve what each form is expected to show there."""
    deadline = Deadline.after(SETUP_S, lab.cancel)
    site = drive.Site(root=guest_root(lab, ready.machine), artifacts="", run_id="")
    tree, digest = forms.artifact_tree(lab, ready.artifacts)
    with lab.bus.step("guest", "artifacts and guest half into the machine") as step:
        drive.install(transport, site, deadline)
        at, mount = deliver.deliver(lab, ready.machine, transport, site.root, tree, digest, deadline)
        facts, clock_s = drive.facts(transport, site, deadline, *mount)
        step.say(facts["kernel"])
    if abs(time.time() - clock_s) >= CLOCK_S:
        # a restored machine's: everything in it agrees, so it is not corrected but measured
        facts["clock_behind_s"] = round(_behind_s(transport, deadline), 1)
    facts["emulated"] = ready.emulated or bool(facts.get("emulated"))  # not every machine can tell by itself
    specs = _specs(lab, asked, ready, facts)
    site = drive.Site(root=site.root, artifacts=at, run_id="")
    return Deployed(ready=ready, site=site, facts=facts, specs=specs)


def _behind_s(transport: Transport, deadline: Deadline) -> float:
    """How far the machine's clock is behind this host's."""
    before = time.time()
    said = transport.run(["date", "+%s.%N"], deadline, max_output=drive.MAX_FACT).text()[: drive.MAX_FACT].strip()
    try:
        clock_s = load(float, said)
    except WireError as error:
        raise DemoError(f"the machine's clock cannot be read: {error}", fix="lab doctor") from error
    return (before + time.time()) / 2 - clock_s


def _specs(lab: Lab, asked: DemoRequest, ready: Ready, facts: dict[str, Any]) -> dict[str, FormSpec]:
    """Every form, resolved for this machine; the controls are sized by what a like run measured."""
    wish = resolve(asked, emulated=ready.emulated, facts=facts)
    here = {"provider": ready.machine.spec.provider, "accel": ready.machine.accel}
    controls = any(form.delay for form in asked.forms)
    costs = sizing.measured(lab, scenario=asked.scenario.name, wish=wish, **here) if controls else None
    if controls and costs is None:
        lab.bus.emit(Notice(level="info", text="no run like this yet: the controls get a nominal size, not a measured"))
    return {
        form.name: forms.form_spec(
            *(form, ready.artifacts, facts),
            topology=wish.topology,
            service=asked.service,
            scenario=asked.scenario,
            costs=costs,
        )
        for form in asked.forms
    }


def plan_of(asked: DemoRequest, deployed: Deployed) -> Plan:
    """The plan for this machine, not yet named."""
    wish = resolve(asked, emulated=deployed.ready.emulated, facts=deployed.facts)
    load, sink = (deployed.ready.artifacts[name] for name in ("load", "sink"))
    tools = Tools(
        load=forms.tree_path(load), load_sha256=load.sha256, sink=forms.tree_path(sink), sink_sha256=sink.sha256
    )
    return planning.make("", asked.scenario, asked.service, deployed.specs, tools, wish)


def _announce(lab: Lab, plan: Plan) -> None:
    cells = sum(len(life.cells) for life in plan.lives)
    rate = plan.lives[0].cells[0].rate_rps
    lab.bus.emit(
        Notice(
            level="info",
            text=f"run {plan.run_id}: {len(plan.forms)} forms, {cells} cells at {rate:g} requests/s, seed {plan.seed}",
        )
    )


def follow_run(lab: Lab, machine: Machine, site: drive.Site, plan: Plan) -> str:
    """Until the guest half has ended; its events are drawn on the way. Returns the forms that were not proven."""
    cells = [cell for life in plan.lives for cell in life.cells]
    longest = sum(cell.requests / cell.rate_rps + plan.timeouts.ready_s + plan.timeouts.first_span_s for cell in cells)
    limit = Deadline.after(300 + 4 * longest, lab.cancel)
    with lab.bus.step("run", "demo under load" if cells else "canary requests") as step:
        gone = functools.partial(presence.taken_down, lab, machine)
        seen = drive.follow(lab, lambda: connected(lab, machine), site, plan, limit, gone)
        step.say(f"{len(seen.cells)} cells" if cells else f"{len(plan.lives)} forms")
        unproven = ", ".join(seen.unproven)
        if unproven:
            step.fail(f"{len(seen.unproven)} of {len(plan.forms)} forms not proven: {unproven}")
    return unproven


def fetch_run(lab: Lab, machine: Machine, site: drive.Site, directory: Path) -> None:
    """The sealed folder home; also of a run in which no form was proven, which its report then says."""
    with lab.bus.step("fetch", "results home, verified") as step, connected(lab, machine) as transport:

        def told(done: int, total: int) -> None:
            lab.bus.emit(Progress(name="fetch", done=done, total=total, unit="bytes"))

        drive.wait_sealed(transport, site, Deadline.after(SEAL_S, lab.cancel))
        sealed = fetch.fetch(
            transport, site.out, directory / GUEST_DIR, Deadline.after(SETUP_S, lab.cancel), progress=told
        )
        step.say(f"{len(sealed.files)} files, {sum(f.size for f in sealed.files)} bytes")


def guest_root(lab: Lab, machine: Machine) -> str:
    """Our folder in the machine; on this very Linux it stays below LAB_HOME."""
    if machine.is_this_host:
        return str(lab.paths.machine(machine.spec.name) / "guest")
    return "/var/lib/lab"


@contextmanager
def connected(lab: Lab, machine: Machine) -> Iterator[Transport]:
    """One connection to the machine, closed at the end; whatever fails, an error says what became of the machine."""
    if machine.endpoint is None:
        raise DemoError(f"machine {machine.spec.name} has no endpoint", fix="lab up")
    with contextlib.ExitStack() as stack:
        try:
            link = stack.enter_context(lifecycle.session(lab, machine, CONNECT_S))
        except ProvisioningError as error:
            raise lifecycle.explain_unreachable(lab, machine, error) from error
        with presence.explained(lab, machine):
            yield link


def _circumstances(asked: DemoRequest, deployed: Deployed) -> manifest.Circumstances:
    machine = deployed.ready.machine
    return manifest.Circumstances(
        provider=machine.spec.provider,
        accel=machine.accel,
        image_id=machine.image_id,
        guest=deployed.facts,
        artifacts=tuple(deployed.ready.artifacts.values()),
        left_out=deployed.ready.left_out,
        forms=asked.forms,
        scenario=asked.scenario,
        playbook_digest=lifecycle.playbook_digest(),
        argv=("lab", *sys.argv[1:]),
    )
