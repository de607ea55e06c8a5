"""Deploy forms into the machine and prove each by canary requests; no load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.flows import demo, resume, stages
from lab.flows.demo import DEPLOYED, RUN, DemoStage
from lab.flows.request import DemoRequest
from lab.guest.wire import LifeEnd
from lab.model.lab import Lab
from lab.model.own import Change
from lab.model.paths import GUEST_DIR, LIFE_FILE, LIVES_DIR
from lab.runs.sealed import source
from lab.system import documents


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployProof:
    """Whether a form instruments. gaps: its differences from the reference; fix: of one that was not built."""

    ok: bool = False
    reason: str = ""
    gaps: str = ""
    built: bool = True
    fix: str = ""
    changes: tuple[Change, ...] = ()  # of its program from the service's own


Proofs = dict[str, DeployProof]


def deploy(lab: Lab, asked: DemoRequest) -> Proofs:
    """The proof of each form. The lives run without cells: start, canary, proof, stop."""
    proofs: Proofs = demo.run(lab, DEPLOY, asked)
    return {form.name: proofs[form.name] for form in asked.forms}


def _proofs(_: stages.Work, fetched: stages.Fetched) -> Proofs:
    directory, facts = fetched.run.directory, fetched.run.facts
    changes = {life.form: facts.artifacts[life.form].changes for life in fetched.run.plan.lives}
    proofs = {form: DeployProof(reason="the form was not started", changes=own) for form, own in changes.items()}
    for path in sorted((directory / GUEST_DIR / LIVES_DIR).glob(f"*/{LIFE_FILE}")):
        ended = documents.read(source(directory, path.relative_to(directory).as_posix()), LifeEnd)
        reason = ended.reason.removeprefix("proof: ")
        proofs[ended.form] = DeployProof(ok=ended.ok, reason=reason, gaps=ended.gaps, changes=changes[ended.form])
    resume.discard(directory)
    for entry in facts.left_out:
        proofs[entry.form] = DeployProof(built=False, reason=entry.reason, fix=entry.fix)
    return proofs


DEPLOY: Final = (
    *DEPLOYED,
    DemoStage(name="planned", act=stages.plan_proofs),
    *RUN,
    DemoStage(name="proven", act=_proofs),
)
