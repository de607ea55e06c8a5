"""The load levels of a demo, by a search for the load that each form keeps up with; once per machine and build."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import replace

from lab.flows import patience, resume, stages
from lab.flows.stages import Deployed, Work
from lab.guest.wire import COUNTED, Plan, Saturation, encode
from lab.machines import lifecycle, presence
from lab.model.errors import Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.scenario import PROFILES
from lab.runs import drive, manifest, read, saturation
from lab.system import documents, store
from lab.system.documents import Source
from lab.system.wait import Deadline

Found = dict[str, Saturation]


def find(work: Work, deployed: Deployed) -> Deployed:
    """With the levels of the profile in its parameters. Without a search where there is one level: a profile that has
    no levels, a rate that was given, and a machine whose time is not judged. Raises DemoError."""
    lab, asked, parameters = work.lab, deployed.prepared.asked, deployed.parameters
    shares = PROFILES[parameters.profile].levels
    if not shares or asked.demo.rate_rps or parameters.emulated or parameters.clock == COUNTED:
        return deployed
    run_id = manifest.new_run_id(f"{asked.scenario.name}-search")
    plan = saturation.search(stages.plan_of(deployed, run_id), parameters.rate_rps)
    file = _source(lab, plan, deployed)
    kept = _known(file)
    earlier = _earlier(file) if kept else ""
    if not kept:
        kept = _run(lab, plan, deployed)
        if len(kept) == len(plan.forms):  # one that was not proven may be, the next time
            store.write_json(file.path, encode(kept))
    kept = {form: kept[form] for form in plan.forms if form in kept}
    rates = saturation.levels(kept, saturation.instrumented(plan), shares)
    if not rates:
        return deployed
    lab.bus.emit(Notice(level="info", text=told(kept, rates) + earlier))
    middle = rates[len(rates) // 2]
    return replace(deployed, parameters=replace(parameters, rate_rps=middle, levels=rates, saturation=kept))


def told(kept: Found, rates: tuple[float, ...]) -> str:
    """What was found, in one sentence."""
    each = ", ".join(f"{form} {of.kept_rps:g}" for form, of in kept.items())
    return f"the forms keep up with so many requests/s: {each}; measured at {', '.join(f'{rate:g}' for rate in rates)}"


def _earlier(file: Source) -> str:
    """When it was found, and how to search again: it may have been beside other work."""
    found = dt.datetime.fromtimestamp(file.path.stat().st_mtime, dt.UTC)
    return f" (found on {found:%Y-%m-%d}; to search again, {file.fix})"


def _source(lab: Lab, plan: Plan, deployed: Deployed) -> Source:
    path = lab.paths.saturation / f"{saturation.key(plan, deployed.facts)}.json"
    return Source(path=path, name=str(path), fix=f"remove {path}")


def _known(file: Source) -> Found | None:
    """By an earlier search on this kind of machine: so an interrupted run is resumed, and sessions are alike."""
    try:
        return documents.read(file, Found)
    except Unreadable:
        return None


def _run(lab: Lab, plan: Plan, deployed: Deployed) -> Found:
    directory, plan = resume.claim(lab, plan, deployed.facts)
    machine, site = deployed.prepared.machine, drive.Site(root=deployed.home.root, run_id=plan.run_id)
    with resume.alone(lab, plan.run_id), lab.bus.step("search", "find the load that each form keeps up with"):
        limit = Deadline.after(patience.limit_s(plan), lab.cancel)
        stages.launch(lab, deployed, site, plan)
        gone = functools.partial(presence.taken_down, lab, machine)
        drive.follow(lab, lambda: lifecycle.connected(lab, machine), site, plan, limit, gone)
        stages.fetch_run(lab, machine, site, directory)
        kept = saturation.found(plan, read.cells(directory))
    resume.discard(directory)
    return kept
