"""Forms into the machine, each proven by canary requests; no load."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from lab.flows import demo as flow
from lab.flows import resume
from lab.flows.request import DemoRequest
from lab.guest.wire import LifeEnd, encode
from lab.machines import presence
from lab.model.lab import Lab
from lab.model.paths import GUEST_DIR, LIFE_FILE, LIVES_DIR
from lab.runs import drive
from lab.runs.sealed import source
from lab.system import documents


def deploy(lab: Lab, asked: DemoRequest) -> dict[str, dict[str, Any]]:
    """Form -> {"ok", "reason", "gaps", "built", "changes"}. The lives run without cells: start, canary, proof, stop.

    A form that could not be built has "built": false, and a "fix".
    """
    ready = flow.prepare(lab, asked)
    asked, names = ready.able(asked), [form.name for form in asked.forms]
    with flow.connected(lab, ready.machine) as transport, contextlib.ExitStack() as beginning:
        beginning.enter_context(presence.kept(lab, ready.machine))
        deployed = flow.deploy(lab, asked, ready, transport)
        plan = flow.plan_of(asked, deployed)
        lives = tuple(dataclasses.replace(life, cells=()) for life in plan.lives if life.block == 1)
        directory, plan = resume.claim(lab, dataclasses.replace(plan, lives=lives))
        site = drive.Site(root=deployed.site.root, artifacts=deployed.site.artifacts, run_id=plan.run_id)
        with lab.bus.step("proofs", "prove each form") as step:
            flow.begin(lab, transport, site, plan)
            beginning.close()
            if unproven := flow.follow_run(lab, ready.machine, site, plan):
                step.fail(f"not proven: {unproven}")
    flow.fetch_run(lab, ready.machine, site, directory)
    proofs: dict[str, dict[str, Any]] = {
        life.form: {"ok": False, "reason": "it was never started", "gaps": ""} for life in lives
    }
    for path in sorted((directory / GUEST_DIR / LIVES_DIR).glob(f"*/{LIFE_FILE}")):
        ended = documents.read(source(directory, path.relative_to(directory).as_posix()), LifeEnd)
        reason = ended.reason.removeprefix("proof: ")
        proofs[ended.form] = {"ok": ended.ok, "reason": reason, "gaps": ended.gaps}
    resume.discard(directory)
    for name, proof in proofs.items():
        proof |= {"built": True, "changes": encode(ready.artifacts[name].changes)}
    for each in ready.left_out:
        proofs[each.form] = {"ok": False, "reason": each.reason, "fix": each.fix, "gaps": "", "built": False}
    return {name: proofs[name] for name in names}
