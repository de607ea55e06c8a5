"""The stages of a demo: each takes one value and returns the next.

The order is `DEMO` in `lab.flows.demo`.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab import forms, verdict
from lab.flows import clock, deliver, forecast, patience, prepare, report, resume, sizing
from lab.flows.prepare import Prepared
from lab.flows.request import DemoRequest, resolve
from lab.guest.wire import COUNTED, FormSpec, GuestManifest, Plan, Tools
from lab.machines import lifecycle, presence
from lab.model.events import Notice, Progress
from lab.model.facts import MachineFacts
from lab.model.lab import Lab
from lab.model.machine import INSTRUCTION_NS, Machine
from lab.model.paths import GUEST_DIR
from lab.model.run import Run, RunGrade
from lab.remote.base import Transport
from lab.runs import drive, fetch, manifest, noise
from lab.runs import plan as planning
from lab.runs import read as reading
from lab.system.wait import Deadline

SEAL_S: Final = 60.0
SETUP_S: Final = 900.0
CLOCK_S: Final = 3.0  # a smaller difference may be the round trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Shared by all stages. open: resources that one stage opens and a later one closes; held: those until the end."""

    lab: Lab
    recorder: resume.RunRecorder
    open: ExitStack
    held: ExitStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Artifacts in the machine, at `artifacts`, and its facts: enough to plan."""

    prepared: Prepared
    transport: Transport
    home: drive.GuestHome
    artifacts: str
    facts: MachineFacts
    parameters: planning.RunParameters
    specs: dict[str, FormSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the directory of its run on this host."""

    deployed: Deployed
    plan: Plan
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run in progress in the machine, and the facts for its manifest."""

    machine: Machine
    site: drive.Site
    plan: Plan
    directory: Path
    facts: manifest.Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedRun:
    """A run that has ended in the machine."""

    run: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A fetched run, each file as the machine sealed it."""

    run: Started
    seal: GuestManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A complete run under its final name, and its content."""

    directory: Path
    run: Run


def machine_and_artifacts(work: Work, asked: DemoRequest) -> Prepared:
    return prepare.prepare(work.lab, asked)


def deploy(work: Work, prepared: Prepared) -> Deployed:
    """Deploy over a connection that stays open; until the run has started, `lab down` is refused."""
    transport = work.open.enter_context(lifecycle.connected(work.lab, prepared.machine))
    work.open.enter_context(presence.kept(work.lab, prepared.machine))
    return put(work.lab, prepared, transport)


def plan(work: Work, deployed: Deployed) -> Planned:
    return _claimed(work, deployed, lambda plan: plan)


def plan_proofs(work: Work, deployed: Deployed) -> Planned:
    return _claimed(work, deployed, planning.without_load)


def start(work: Work, planned: Planned) -> Started:
    """Start the plan in the machine; it ends standby forms there, with a notice."""
    lab, deployed, plan = work.lab, planned.deployed, planned.plan
    site = drive.Site(root=deployed.home.root, run_id=plan.run_id)
    with lab.bus.step("start", "start the run in the machine"):
        launch(lab, deployed, site, plan)
    work.open.close()
    machine, facts = deployed.prepared.machine, _circumstances(deployed)
    return Started(machine=machine, site=site, plan=plan, directory=planned.directory, facts=facts)


def launch(lab: Lab, deployed: Deployed, site: drive.Site, plan: Plan) -> None:
    """Start a plan in the machine, over the connection of the deployment."""
    deadline = Deadline.after(SETUP_S, lab.cancel)
    launched = drive.start(deployed.transport, site, plan, deployed.artifacts, deadline)
    if launched.gave_way:
        lab.bus.emit(Notice(level="info", text="stopped the standby forms in the machine for this run"))


def follow(work: Work, run: Started) -> FollowedRun:
    """Wait until the guest half has ended; shows its events meanwhile."""
    lab, plan = work.lab, run.plan
    cells = [cell for life in plan.lives for cell in life.cells]
    limit = Deadline.after(patience.limit_s(plan), lab.cancel)
    with lab.bus.step("run", "demo under load" if cells else "canary requests") as step:
        gone = functools.partial(presence.taken_down, lab, run.machine)
        followed = drive.follow(lab, lambda: lifecycle.connected(lab, run.machine), run.site, plan, limit, gone)
        step.say(f"{len(followed.cells)} cells" if cells else f"{len(plan.lives)} forms")
        if unproven := followed.unproven:
            step.fail(f"{len(unproven)} of {len(plan.forms)} forms not proven: {', '.join(unproven)}")
    return FollowedRun(run=run)


def bring(work: Work, followed: FollowedRun) -> Fetched:
    run = followed.run
    return Fetched(run=run, seal=fetch_run(work.lab, run.machine, run.site, run.directory))


def seal(work: Work, fetched: Fetched) -> Sealed:
    """Write manifest.json with the grade; from then on the run is complete."""
    work.recorder.close()
    directory = fetched.run.directory
    files = manifest.files(directory, fetched.seal)
    doc = manifest.document(fetched.run.plan, fetched.run.facts, files)
    doc = replace(doc, floor_pct=noise.floors(work.lab.paths, doc.profile_hash))
    run = reading.opened(directory, doc, {entry.path: entry.size for entry in files})
    grade = verdict.grade(doc, run.machine, [found.cell for found in run.cells], run.plan.clock)
    final = manifest.publish(directory, replace(doc, grade=RunGrade(word=grade.word, reasons=grade.reasons)))
    return Sealed(directory=final, run=reading.moved(run, final))


def tell(work: Work, sealed: Sealed) -> report.Reported:
    """Write the report, and add the twin's readings to the noise ledger for later runs."""
    reported = report.write(work.lab, sealed.directory, sealed.run)
    twin = {metric: read.effect_pct for metric, read in reported.summary.controls.twin.items()}
    if twin:
        session = noise.Session(run_id=sealed.run.id, twin_pct=twin)
        noise.add(work.lab.paths, sealed.run.manifest.profile_hash, session)
    return reported


def put(lab: Lab, prepared: Prepared, transport: Transport) -> Deployed:
    """Copy the artifacts into the machine, read its facts, resolve the expectations of each form there."""
    deadline = Deadline.after(SETUP_S, lab.cancel)
    home = drive.GuestHome(root=deliver.guest_root(lab, prepared.machine))
    tree, digest = forms.artifact_tree(lab, prepared.artifacts)
    with lab.bus.step("guest", "copy artifacts and guest half into the machine") as step:
        drive.install(transport, home, deadline)
        at, mount = deliver.deliver(lab, prepared.machine, transport, home.root, tree, digest, deadline)
        facts, clock_s = drive.facts(transport, home, deadline, *mount)
        step.say(facts.kernel)
    if abs(time.time() - clock_s) >= CLOCK_S:
        # a restored machine: its clock is consistent inside, so it is measured, not corrected
        facts = facts.but(clock_behind_s=round(clock.behind_s(transport, deadline), 1))
    facts = facts.but(emulated=prepared.emulated or facts.emulated)  # not every machine can detect it
    counting = prepared.machine.clock
    if counting == COUNTED:
        facts = facts.but(clock=counting, instruction_ns=INSTRUCTION_NS)
    parameters = resolve(prepared.asked, emulated=prepared.emulated, facts=facts, clock=counting)
    specs = _specs(lab, prepared, parameters, facts)
    return Deployed(
        prepared=prepared, transport=transport, home=home, artifacts=at, facts=facts, parameters=parameters, specs=specs
    )


def _specs(
    lab: Lab, prepared: Prepared, parameters: planning.RunParameters, facts: MachineFacts
) -> dict[str, FormSpec]:
    """Every form, resolved for this machine; the controls are sized by a comparable run."""
    asked = prepared.asked
    here = {"provider": prepared.machine.spec.provider, "accel": prepared.machine.accel}
    controls = any(form.delay for form in asked.forms)
    costs: dict[str, float] | None = None
    if parameters.clock == COUNTED and asked.scenario.counted.cpu_ms:
        costs = {"cpu": asked.scenario.counted.cpu_ms * 1e6}  # the same in every run, so that runs are alike
    elif controls:
        costs = sizing.measured(lab, scenario=asked.scenario.name, parameters=parameters, **here)
    if controls and costs is None:
        lab.bus.emit(Notice(level="info", text="no comparable run yet: the controls get a nominal size"))
    return {
        form.name: forms.form_spec(
            *(form, prepared.artifacts, facts),
            topology=parameters.topology,
            service=asked.service,
            scenario=asked.scenario,
            costs=costs,
        )
        for form in asked.forms
    }


def plan_of(deployed: Deployed, run_id: str) -> Plan:
    """The plan for this machine."""
    asked, artifacts = deployed.prepared.asked, deployed.prepared.artifacts
    load, sink = artifacts["load"], artifacts["sink"]
    tools = Tools(
        load=forms.tree_path(load),
        load_sha256=load.sha256,
        sink=forms.tree_path(sink),
        sink_sha256=sink.sha256,
        verified=deliver.by_disk(deployed.prepared.machine),
    )
    return planning.make(run_id, asked.scenario, asked.service, deployed.specs, tools, deployed.parameters)


def _claimed(work: Work, deployed: Deployed, part: Callable[[Plan], Plan]) -> Planned:
    """The plan, or that of an interrupted run that differs only in its name."""
    run_id = manifest.new_run_id(deployed.prepared.asked.scenario.name)
    directory, plan = resume.claim(work.lab, part(plan_of(deployed, run_id)), deployed.facts)
    work.held.enter_context(resume.alone(work.lab, plan.run_id))
    work.recorder.into(directory)
    if any(life.cells for life in plan.lives):
        prepared, emulated = deployed.prepared, deployed.parameters.emulated
        request_ms = prepared.asked.scenario.counted.cpu_ms
        forecast.tell(work.lab, plan, prepared.machine, emulated=emulated, request_ms=request_ms)
    return Planned(deployed=deployed, plan=plan, directory=directory)


def fetch_run(lab: Lab, machine: Machine, site: drive.Site, directory: Path) -> GuestManifest:
    """Fetch the sealed folder, also of a run without a proven form: its report shows that."""
    with lab.bus.step("fetch", "fetch and verify results") as step, lifecycle.connected(lab, machine) as transport:

        def progress(done: int, total: int) -> None:
            lab.bus.emit(Progress(name="fetch", done=done, total=total, unit="bytes"))

        drive.wait_sealed(transport, site, Deadline.after(SEAL_S, lab.cancel))
        target, deadline = directory / GUEST_DIR, Deadline.after(SETUP_S, lab.cancel)
        sealed = fetch.fetch(transport, site.out, target, deadline, progress=progress)
        step.say(f"{len(sealed.files)} files, {sum(f.size for f in sealed.files)} bytes")
    return sealed


def _circumstances(deployed: Deployed) -> manifest.Circumstances:
    prepared = deployed.prepared
    return manifest.Circumstances(
        provider=prepared.machine.spec.provider,
        accel=prepared.machine.accel,
        image_id=prepared.machine.image_id,
        guest=deployed.facts,
        artifacts=prepared.artifacts,
        left_out=prepared.left_out,
        forms=prepared.asked.forms,
        scenario=prepared.asked.scenario,
        playbook_digest=lifecycle.playbook_digest(),
        argv=("lab", *sys.argv[1:]),
    )
