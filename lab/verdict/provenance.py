"""What a run was made with, and the host's steps that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from lab.guest.wire import Plan, canonical
from lab.model.events import StepFinished, StepStarted
from lab.model.mix import never_sent
from lab.model.run import Run
from lab.model.summary import HostStep, Part, Provenance

UNSHOWN: Final = frozenset({"body", "headers", "params"})
SHOWN: Final = 12  # digits of a digest


def steps(run: Run) -> tuple[HostStep, ...]:
    """The host's steps with their seconds, in order of their start; depth by nesting."""
    parents = {record.step: record.parent for record in run.host_events}
    titles = {r.step: r.event.title for r in run.host_events if isinstance(r.event, StepStarted)}
    ended = {r.step: r.event for r in run.host_events if isinstance(r.event, StepFinished)}
    found = []
    for step, title in titles.items():
        end = ended.get(step)
        depth, above = 0, parents.get(step, 0)
        while above and depth < 8:
            depth, above = depth + 1, parents.get(above, 0)
        found.append(
            HostStep(
                title=title,
                depth=depth,
                seconds=end.seconds if end else None,
                outcome=end.outcome if end else "running",
                message=end.message if end else "",
            )
        )
    return tuple(found)


def provenance(run: Run, thresholds_pct: Mapping[str, float]) -> Provenance:
    """thresholds_pct: by metric, also those that the scenario leaves to the default."""
    manifest = run.manifest
    cells = sorted({(cell.rate_rps, cell.requests) for life in run.plan.lives for cell in life.cells})
    terms = {"requests": run.plan.requests, "gates": run.plan.gates, "thresholds": manifest.threshold_pct}
    return Provenance(
        created=manifest.created,
        command=manifest.command,
        seed=run.plan.seed,
        provider=manifest.provider,
        acceleration=manifest.acceleration,
        host=manifest.host,
        guest=run.machine.reported,
        toolchain=manifest.versions,
        lab_version=manifest.lab_version,
        plan_sha256=run.plan.digest(),
        guest_manifest_sha256=manifest.guest_manifest_sha256,
        playbook_sha256=manifest.playbook_sha256,
        image_id=manifest.image_id,
        layout=run.plan.layout.said,
        service=run.plan.service.name,
        topology=run.plan.service.topology,
        arrivals=run.plan.arrivals,
        mix=tuple(Part(type=spec.type, weight=spec.weight) for spec in run.plan.requests),
        files=len(run.files),
        bytes=sum(run.files.values()),
        trap_ns=manifest.trap_ns,
        schema=manifest.schema,
        rates_rps=tuple(dict.fromkeys(rate for rate, _ in cells)),
        requests_per_cell=tuple(requests for _, requests in cells),
        never_sent=never_sent(run.plan),
        terms_sha256={name: hashlib.sha256(canonical(value)).hexdigest() for name, value in terms.items()},
        terms=_terms(run.plan, thresholds_pct),
    )


def _terms(plan: Plan, thresholds_pct: Mapping[str, float]) -> dict[str, str]:
    """Each field on its own, so that one that differs between runs can be named."""
    found = {"requests.order": ", ".join(spec.type for spec in plan.requests)}
    for spec in plan.requests:
        found |= {f"requests.{spec.type}.{one.name}": _said(one.name, getattr(spec, one.name)) for one in fields(spec)}
    found |= {f"gates.{one.name}": _said(one.name, getattr(plan.gates, one.name)) for one in fields(plan.gates)}
    return found | {f"thresholds.{metric}": f"{pct:g} %" for metric, pct in thresholds_pct.items()}


def _said(name: str, value: object) -> str:
    """A short value as it is; what is long or may be a secret by its digest."""
    text = canonical(value).decode()
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:SHOWN]}" if name in UNSHOWN else text
