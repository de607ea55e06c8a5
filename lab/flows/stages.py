"""The stages of a demo behind the machine and its artifacts: each takes one value and gives the next.

The order is `DEMO` in `lab.flows.demo`.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab import forms, verdict
from lab.flows import deliver, prepare, report, resume, sizing
from lab.flows.prepare import Prepared
from lab.flows.request import DemoRequest, resolve
from lab.guest.wire import COUNTED, FormSpec, GuestManifest, Plan, Tools, WireError, decode, encode, load
from lab.machines import lifecycle, presence
from lab.model.errors import DemoError
from lab.model.events import Notice, Progress
from lab.model.lab import Lab
from lab.model.machine import INSTRUCTION_NS, Machine
from lab.model.paths import GUEST_DIR
from lab.model.run import Run, RunManifest
from lab.remote.base import Transport
from lab.runs import drive, fetch, manifest, noise
from lab.runs import plan as planning
from lab.runs import read as reading
from lab.system.wait import Deadline

SEAL_S: Final = 60.0
SETUP_S: Final = 900.0
COUNTED_SLOWER: Final = 30  # a guest second of a CPU that counts, on a host that is busy with other things
CLOCK_S: Final = 3.0  # less is what asking takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every stage has at hand. open: what one stage opens and a later one closes, at the latest the end."""

    lab: Lab
    recorder: resume.Recorder
    open: ExitStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Artifacts in the machine, at `artifacts`, and what is known of it: enough to plan."""

    prepared: Prepared
    transport: Transport
    home: drive.GuestHome
    artifacts: str
    facts: dict[str, Any]
    wish: planning.RunParameters
    specs: dict[str, FormSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and its run's directory here."""

    deployed: Deployed
    plan: Plan
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run under way in the machine, and all that its manifest will say of it."""

    machine: Machine
    site: drive.Site
    plan: Plan
    directory: Path
    facts: manifest.Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run that has ended in the machine."""

    run: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A run that is here, each file as the machine sealed it."""

    run: Started
    seal: GuestManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A whole run under its own name, and its content."""

    directory: Path
    run: Run


def machine_and_artifacts(work: Work, asked: DemoRequest) -> Prepared:
    return prepare.prepare(work.lab, asked)


def deploy(work: Work, prepared: Prepared) -> Deployed:
    """Over a connection that stays; until the run has started, nobody takes the machine down."""
    transport = work.open.enter_context(lifecycle.connected(work.lab, prepared.machine))
    work.open.enter_context(presence.kept(work.lab, prepared.machine))
    return put(work.lab, prepared, transport)


def plan(work: Work, deployed: Deployed) -> Planned:
    return _claimed(work, deployed, lambda plan: plan)


def plan_proofs(work: Work, deployed: Deployed) -> Planned:
    return _claimed(work, deployed, planning.without_load)


def start(work: Work, planned: Planned) -> Started:
    """Start the plan in the machine; forms that were kept up there end for it, which is reported."""
    lab, deployed, plan = work.lab, planned.deployed, planned.plan
    site = drive.Site(root=deployed.home.root, run_id=plan.run_id)
    with lab.bus.step("start", "start the run in the machine"):
        deadline = Deadline.after(SETUP_S, lab.cancel)
        said = drive.start(deployed.transport, site, plan, deployed.artifacts, deadline)
        if said.get("gave_way"):
            lab.bus.emit(Notice(level="info", text="the forms on standby in the machine were stopped for this run"))
    work.open.close()
    machine, facts = deployed.prepared.machine, _circumstances(deployed)
    return Started(machine=machine, site=site, plan=plan, directory=planned.directory, facts=facts)


def follow(work: Work, run: Started) -> Followed:
    """Until the guest half has ended; its events are drawn on the way."""
    lab, plan = work.lab, run.plan
    cells = [cell for life in plan.lives for cell in life.cells]
    longest = sum(cell.requests / cell.rate_rps + plan.timeouts.ready_s + plan.timeouts.first_span_s for cell in cells)
    slower = COUNTED_SLOWER if plan.clock == COUNTED else 4
    limit = Deadline.after(300 + slower * longest, lab.cancel)
    with lab.bus.step("run", "demo under load" if cells else "canary requests") as step:
        gone = functools.partial(presence.taken_down, lab, run.machine)
        seen = drive.follow(lab, lambda: lifecycle.connected(lab, run.machine), run.site, plan, limit, gone)
        step.say(f"{len(seen.cells)} cells" if cells else f"{len(plan.lives)} forms")
        if seen.unproven:
            step.fail(f"{len(seen.unproven)} of {len(plan.forms)} forms not proven: {', '.join(seen.unproven)}")
    return Followed(run=run)


def bring(work: Work, followed: Followed) -> Fetched:
    run = followed.run
    return Fetched(run=run, seal=fetch_run(work.lab, run.machine, run.site, run.directory))


def seal(work: Work, fetched: Fetched) -> Sealed:
    """manifest.json, with the grade that the cells and facts earn; from then on the run is whole."""
    work.recorder.close()
    directory = fetched.run.directory
    files = manifest.files(directory, fetched.seal)
    doc = manifest.document(fetched.run.plan, fetched.run.facts, files)
    doc["floor_pct"] = noise.floors(work.lab.paths, doc["profile_hash"])
    run = reading.opened(directory, decode(RunManifest, doc), {entry.path: entry.size for entry in files})
    grade = verdict.grade(run.manifest, run.facts, [found.cell for found in run.cells])
    final = manifest.publish(directory, {**doc, "grade": encode(grade)})
    return Sealed(directory=final, run=reading.moved(run, final))


def tell(work: Work, sealed: Sealed) -> report.Reported:
    """The report; what its twin read goes into the ledger, for sessions to come."""
    told = report.write(work.lab, sealed.directory, sealed.run)
    twin = {metric: read.effect_pct for metric, read in told.summary.controls.twin.items()}
    if twin:
        session = noise.Session(run_id=sealed.run.id, twin_pct=twin)
        noise.add(work.lab.paths, sealed.run.manifest.profile_hash, session)
    return told


def put(lab: Lab, prepared: Prepared, transport: Transport) -> Deployed:
    """Put the artifacts there, read the machine's facts, resolve what each form is expected to show there."""
    deadline = Deadline.after(SETUP_S, lab.cancel)
    home = drive.GuestHome(root=deliver.guest_root(lab, prepared.machine))
    tree, digest = forms.artifact_tree(lab, prepared.artifacts)
    with lab.bus.step("guest", "artifacts and guest half into the machine") as step:
        drive.install(transport, home, deadline)
        at, mount = deliver.deliver(lab, prepared.machine, transport, home.root, tree, digest, deadline)
        facts, clock_s = drive.facts(transport, home, deadline, *mount)
        step.say(facts["kernel"])
    if abs(time.time() - clock_s) >= CLOCK_S:
        # a restored machine's: everything in it agrees, so it is not corrected but measured
        facts["clock_behind_s"] = round(_behind_s(transport, deadline), 1)
    facts["emulated"] = prepared.emulated or bool(facts.get("emulated"))  # not every machine can tell by itself
    clock = prepared.machine.clock
    if clock == COUNTED:
        facts |= {"clock": clock, "instruction_ns": INSTRUCTION_NS}
    wish = resolve(prepared.asked, emulated=prepared.emulated, facts=facts, clock=clock)
    specs = _specs(lab, prepared, wish, facts)
    return Deployed(
        prepared=prepared, transport=transport, home=home, artifacts=at, facts=facts, wish=wish, specs=specs
    )


def _behind_s(transport: Transport, deadline: Deadline) -> float:
    """How far the machine's clock is behind this host's."""
    before = time.time()
    said = transport.run(["date", "+%s.%N"], deadline, max_output=drive.MAX_FACT).text()[: drive.MAX_FACT].strip()
    try:
        clock_s = load(float, said)
    except WireError as error:
        raise DemoError(f"the machine's clock cannot be read: {error}", fix="lab doctor") from error
    return (before + time.time()) / 2 - clock_s


def _specs(lab: Lab, prepared: Prepared, wish: planning.RunParameters, facts: dict[str, Any]) -> dict[str, FormSpec]:
    """Every form, resolved for this machine; the controls are sized by what a like run measured."""
    asked = prepared.asked
    here = {"provider": prepared.machine.spec.provider, "accel": prepared.machine.accel}
    controls = any(form.delay for form in asked.forms)
    costs = sizing.measured(lab, scenario=asked.scenario.name, wish=wish, **here) if controls else None
    if controls and costs is None:
        lab.bus.emit(Notice(level="info", text="no run like this yet: the controls get a nominal size, not a measured"))
    return {
        form.name: forms.form_spec(
            *(form, prepared.artifacts, facts),
            topology=wish.topology,
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
        load=forms.tree_path(load), load_sha256=load.sha256, sink=forms.tree_path(sink), sink_sha256=sink.sha256
    )
    return planning.make(run_id, asked.scenario, asked.service, deployed.specs, tools, deployed.wish)


def _claimed(work: Work, deployed: Deployed, part: Callable[[Plan], Plan]) -> Planned:
    """The plan, or that of a cut run which is the same but for its name."""
    run_id = manifest.new_run_id(deployed.prepared.asked.scenario.name)
    directory, plan = resume.claim(work.lab, part(plan_of(deployed, run_id)))
    work.recorder.into(directory)
    cells = sum(len(life.cells) for life in plan.lives)
    if cells:
        rate = plan.lives[0].cells[0].rate_rps
        text = f"run {plan.run_id}: {len(plan.forms)} forms, {cells} cells at {rate:g} requests/s, seed {plan.seed}"
        work.lab.bus.emit(Notice(level="info", text=text))
    return Planned(deployed=deployed, plan=plan, directory=directory)


def fetch_run(lab: Lab, machine: Machine, site: drive.Site, directory: Path) -> GuestManifest:
    """The sealed folder home; also of a run in which no form was proven, which its report then says."""
    with lab.bus.step("fetch", "results home, verified") as step, lifecycle.connected(lab, machine) as transport:

        def told(done: int, total: int) -> None:
            lab.bus.emit(Progress(name="fetch", done=done, total=total, unit="bytes"))

        drive.wait_sealed(transport, site, Deadline.after(SEAL_S, lab.cancel))
        target, deadline = directory / GUEST_DIR, Deadline.after(SETUP_S, lab.cancel)
        sealed = fetch.fetch(transport, site.out, target, deadline, progress=told)
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
