"""A run that is on time is not given up."""

from __future__ import annotations

import dataclasses

import pytest

from lab.flows import patience
from lab.guest.wire import COUNTED, Plan
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_service
from lab.runs import saturation
from lab.runs.plan import RunParameters, make, without_load
from lab.system import resources
from tests.unit.runs.test_plan import FORMS, TOOLS, spec


def planned(scenario: str, rate_rps: float) -> Plan:
    root = resources.root()
    parameters = RunParameters(profile="quick", seed=1, topology="all", rate_rps=rate_rps, emulated=False, cpus=2)
    asked = load_scenario(root / f"demo/scenarios/{scenario}.yaml")
    return make("r", asked, load_service(root / asked.service), {name: spec(name) for name in FORMS}, TOOLS, parameters)


def load_s(plan: Plan) -> float:
    cells = [cell for life in plan.lives for cell in life.cells]
    return sum((cell.warmup_requests + cell.requests) / cell.rate_rps for cell in cells)


@pytest.mark.parametrize(("scenario", "rate_rps"), [("http", 1.0), ("http", 0.01), ("shop", 0.1), ("shop", 100.0)])
def test_every_cell_may_be_run_twice_with_its_warm_up(scenario: str, rate_rps: float) -> None:
    plan = planned(scenario, rate_rps)
    assert patience.limit_s(plan) > 2 * load_s(plan)


def test_a_search_may_be_as_slow_as_its_rates() -> None:
    plan = saturation.search(planned("shop", 0.05), 0.05)
    assert patience.limit_s(plan) > load_s(plan) > 1800


def test_proofs_may_take_as_long_as_their_requests() -> None:
    plan = without_load(planned("shop", 1.0))
    slow = dataclasses.replace(plan.requests[0], timeout_s=600.0, expect_timeout=True)
    assert patience.limit_s(dataclasses.replace(plan, requests=(slow,))) > len(plan.lives) * 600


def test_a_counted_run_takes_longer() -> None:
    plan = planned("shop", 1.0)
    assert patience.limit_s(dataclasses.replace(plan, clock=COUNTED)) > 5 * patience.limit_s(plan)
