"""A cell that could not be read for the report is refused before it is run."""

from __future__ import annotations

import dataclasses

import pytest

from lab.guest.wire import Plan
from lab.model.errors import ConfigError
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_service
from lab.runs import readable
from lab.runs.plan import RunParameters, make, without_load
from lab.system import resources
from lab.system.documents import ROWS
from tests.unit.runs.test_plan import TOOLS, spec

WOVEN = dataclasses.replace(spec("orchestrion-otel"), mechanism="compile-time", proof="some")


def planned(scenario: str, rate_rps: float, *, woven: bool = False) -> Plan:
    root = resources.root()
    asked = load_scenario(root / f"demo/scenarios/{scenario}.yaml")
    parameters = RunParameters(profile="full", seed=1, topology="all", rate_rps=rate_rps, emulated=False, cpus=2)
    forms = {"baseline": spec("baseline")} | ({"orchestrion-otel": WOVEN} if woven else {})
    return make("r", asked, load_service(root / asked.service), forms, TOOLS, parameters)


def test_as_many_requests_as_can_be_read_are_planned() -> None:
    plan = planned("http", 8000.0)
    requests = plan.lives[0].cells[0].requests
    assert requests == 480_000 < ROWS.rows
    assert list(readable.faults(without_load(plan))) == []
    with pytest.raises(ConfigError, match="600,000 requests per cell; of a cell, at most 499,999 can be read") as error:
        planned("http", 10_000.0)
    assert "--rate" in error.value.fix


def test_spans_are_counted_for_the_forms_that_give_them() -> None:
    assert planned("shop", 3000.0).lives
    assert planned("shop", 300.0, woven=True).lives
    with pytest.raises(ConfigError, match=r"180,000 requests per cell give at least .* spans of orchestrion-otel"):
        planned("shop", 3000.0, woven=True)
