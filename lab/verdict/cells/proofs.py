"""The proofs of the forms, as a run has them."""

from __future__ import annotations

from typing import Final

from lab.guest.wire import Canary, GuestRecord, Plan
from lab.model.run import Run

NO_REASON: Final = "the proof failed without a reason from the guest half"
EMPTY_PROOF: Final = "the proof has no request"


def failed_proofs(run: Run) -> dict[str, str]:
    """Form -> why it was not proven: by its canary, or by the event of the guest half when there is none."""
    reasons = {str(r.data.get("form")): _reason(r.data.get("reason")) for r in run.records if _not_proven(r)}
    for canary in (proof.canary for proof in run.canaries):
        if not canary.ok:
            reasons[canary.form] = _reason(canary.reason)
        elif _empty(canary, run.plan):
            reasons.setdefault(canary.form, EMPTY_PROOF)
    return reasons


def _reason(reason: object) -> str:
    """The reason of a failed proof; a default where the guest half sent none."""
    return reason if isinstance(reason, str) and reason.strip() else NO_REASON


def _empty(canary: Canary, plan: Plan) -> bool:
    """Whether the proof of an instrumented form has no request."""
    form = plan.forms.get(canary.form)
    return form is not None and form.mechanism != "none" and not canary.requests


def _not_proven(record: GuestRecord) -> bool:
    return record.kind == "proof" and record.data.get("ok") is False
