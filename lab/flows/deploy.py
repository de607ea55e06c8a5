"""Deploy forms into the machine and prove each by canary requests; no load."""

from __future__ import annotations

from typing import Any, Final

from lab.flows import demo, resume, stages
from lab.flows.demo import DEMO, DemoStage
from lab.flows.request import DemoRequest
from lab.guest.wire import LifeEnd, encode
from lab.model.lab import Lab
from lab.model.paths import GUEST_DIR, LIFE_FILE, LIVES_DIR
from lab.runs.sealed import source
from lab.system import documents

Proofs = dict[str, dict[str, Any]]


def deploy(lab: Lab, asked: DemoRequest) -> Proofs:
    """Form -> {"ok", "reason", "gaps", "built", "changes"}. The lives run without cells: start, canary, proof, stop.

    A form that failed to build has "built": false and a "fix".
    """
    proofs: Proofs = demo.run(lab, DEPLOY, asked)
    return {form.name: proofs[form.name] for form in asked.forms}


def _proofs(_: stages.Work, fetched: stages.Fetched) -> Proofs:
    directory, facts = fetched.run.directory, fetched.run.facts
    proofs: Proofs = {
        life.form: {"ok": False, "reason": "the form was not started", "gaps": ""} for life in fetched.run.plan.lives
    }
    for path in sorted((directory / GUEST_DIR / LIVES_DIR).glob(f"*/{LIFE_FILE}")):
        ended = documents.read(source(directory, path.relative_to(directory).as_posix()), LifeEnd)
        reason = ended.reason.removeprefix("proof: ")
        proofs[ended.form] = {"ok": ended.ok, "reason": reason, "gaps": ended.gaps}
    resume.discard(directory)
    for name, proof in proofs.items():
        proof |= {"built": True, "changes": encode(facts.artifacts[name].changes)}
    for entry in facts.left_out:
        proofs[entry.form] = {"ok": False, "reason": entry.reason, "fix": entry.fix, "gaps": "", "built": False}
    return proofs


DEPLOY: Final = (
    *DEMO[:2],
    DemoStage(name="planned", act=stages.plan_proofs),
    *DEMO[3:6],
    DemoStage(name="proven", act=_proofs),
)
