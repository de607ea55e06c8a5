"""How much load each form keeps up with, and the load levels that follow from it. Pure.

A search is a run of its own, without verdict: each form once, at rates that rise by a quarter, until one is too much.
The levels are shares of what the slowest instrumented form keeps up with, so that every form is measured at the same
rates, and none beside its limit. A rate at which a process dies is tried once more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lab.guest.scoring.saturation import death, too_much
from lab.guest.wire import CellPlan, Life, Plan, Saturation, canonical
from lab.model.errors import DemoError
from lab.model.facts import MachineFacts
from lab.model.run import RunCell
from lab.model.scenario import RATE_MAX_RPS

STEPS: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)  # Renard's R10: two searches meet the same rates
FIRST: Final = 0.25  # of the scenario's rate, where the search begins
LAST: Final = 16.0  # times the scenario's rate, where it ends
STEP_S: Final = 3.0
QUIET_S: Final = 1.0  # its spans are not scored


def rates(usual_rps: float) -> tuple[float, ...]:
    """The rates of a search around the rate of a scenario, the lowest first."""
    last = min(usual_rps * LAST, RATE_MAX_RPS)
    decades = range(math.floor(math.log10(usual_rps * FIRST)), math.ceil(math.log10(last)) + 1)
    grid = (round(step * 10.0**decade, 6) for decade in decades for step in STEPS)
    return tuple(rate for rate in grid if usual_rps * FIRST <= rate <= last)


def searched(plan: Plan) -> list[str]:
    """The service itself, and each instrumented form: the twin is the service, and a control is slower on purpose."""
    plain = [name for name, form in plan.forms.items() if form.mechanism == "none" and not form.delay_kind]
    return [*plain[:1], *instrumented(plan)]


def instrumented(plan: Plan) -> list[str]:
    return [name for name, form in plan.forms.items() if form.mechanism != "none"]


def search(plan: Plan, usual_rps: float) -> Plan:
    """The plan of a search in place of `plan`'s load, which has the rate `usual_rps`."""
    forms = searched(plan)
    steps = [(f"{rate:g}", rate) for rate in rates(usual_rps)]
    seed = plan.lives[0].cells[0].seed
    warm_up = plan.lives[0].cells[0].warmup_requests
    lives = tuple(
        Life(
            block=1,
            form=form,
            cells=tuple(
                CellPlan(
                    id=f"01-{form}-{name}",
                    level=name,
                    rate_rps=rate,
                    seed=seed,
                    warmup_requests=warm_up if at == 0 else 0,
                    requests=math.ceil(rate * STEP_S),
                )
                for at, (name, rate) in enumerate(steps)
            ),
        )
        for form in forms
    )
    timeouts = dataclasses.replace(plan.timeouts, quiet_s=QUIET_S)
    return dataclasses.replace(
        plan,
        forms={form: plan.forms[form] for form in forms},
        lives=lives,
        timeouts=timeouts,
        rerun_invalid=False,
        until_saturated=True,
        profile="search",
    )


def found(plan: Plan, cells: Sequence[RunCell]) -> dict[str, Saturation]:
    """What each form of a search can sustain; one that was not proven has no cell, and is not among them. Raises
    DemoError for one that was behind at the lowest rate."""
    kept: dict[str, Saturation] = {}
    for life in plan.lives:
        own = {cell.rate_rps: [one for one in cells if one.cell.id == cell.id] for cell in life.cells}
        lost = {rate: why for rate, tried in own.items() if (why := _too_much(tried, plan))}
        alive = [rate for rate, tried in own.items() if any(not death(one.cell) for one in tried)]
        held = [rate for rate in alive if rate < min(lost, default=math.inf)]
        if lost and not held:
            least = min(lost)
            behind = f"{life.form} falls behind at {least:g} requests/s ({lost[least]}): there are no load levels"
            raise DemoError(behind, fix="--rate N measures at that rate alone")
        if held:
            kept[life.form] = Saturation(kept_rps=max(held), lost_rps=min(lost, default=None))
    return kept


def _too_much(tried: Sequence[RunCell], plan: Plan) -> str:
    return too_much([(list(one.requests()), one.cell) for one in tried], plan.requests)


def levels(of: Mapping[str, Saturation], compared: Iterable[str], shares: Sequence[float]) -> tuple[float, ...]:
    """The rates of the levels, the lowest first: shares of what the slowest of the `compared` forms keeps up with.
    None where no form is known."""
    forms = [form for form in compared if form in of] or list(of)
    slowest = min((of[form].kept_rps for form in forms), default=0.0)
    return tuple(float(f"{share * slowest:.2g}") for share in shares if slowest)


def key(plan: Plan, facts: MachineFacts) -> str:
    """Of a search: the same programs and requests on a machine of the same kind find the same."""
    return hashlib.sha256(canonical([dataclasses.replace(plan, run_id=""), facts.hardware])).hexdigest()[:16]
