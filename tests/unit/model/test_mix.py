"""The types of a mix that a plan has no request for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.flows import forecast
from lab.guest.wire import Plan
from lab.model.events import Notice
from lab.model.machine import Handle, LocalEndpoint, Machine, MachineSpec
from lab.model.mix import dealt, never_sent
from lab.runs.read import read
from lab.verdict import summarize
from tests.support import lab_at
from tests.unit.report import synthetic
from tests.unit.report.synthetic_plan import plan


@pytest.mark.parametrize(
    ("requests", "unsent"), [(240, ()), (10, ("fail",)), (1, ("get", "search", "checkout", "fail"))]
)
def test_what_no_cell_sends_is_named(requests: int, unsent: tuple[str, ...]) -> None:
    assert never_sent(plan(requests=requests)) == unsent


def test_a_type_that_one_level_sends_is_sent() -> None:
    few, many = plan(requests=1), plan(requests=240)
    assert never_sent(replace(few, lives=(*few.lives, *many.lives))) == ()


def test_a_plan_without_load_leaves_none_out() -> None:
    made = plan()
    assert never_sent(replace(made, lives=tuple(replace(life, cells=()) for life in made.lives))) == ()


def test_a_mix_without_weights_has_no_share() -> None:
    mix = tuple(replace(spec, weight=0.0) for spec in plan().requests)
    assert sum(dealt(mix, 0).values()) == 0


def warnings(tmp_path: Path, made: Plan) -> list[str]:
    lab = lab_at(tmp_path / "home")
    handle = Handle(provider="local", name="demo", machine_id="1" * 32, directory="")
    machine = Machine(spec=MachineSpec(name="demo", provider="local"), handle=handle, endpoint=LocalEndpoint())
    told: list[str] = []

    def hear(event: object) -> None:
        if isinstance(event, Notice) and event.level == "warning":
            told.append(event.text)

    lab.bus.add(lambda record: hear(record.event))
    forecast.tell(lab, made, machine, emulated=False)
    return told


def test_it_is_told_before_the_start(tmp_path: Path) -> None:
    assert warnings(tmp_path, plan()) == []
    (told,) = warnings(tmp_path, plan(requests=10))
    assert told.startswith("too few requests for every type of the mix: no cell sends fail;")


def test_the_report_claims_nothing_about_it(tmp_path: Path) -> None:
    few = summarize(read(synthetic.write(tmp_path / "few", requests=10)))
    assert "anything about fail: no request of it was sent" in few.may_not_claim
    many = summarize(read(synthetic.write(tmp_path / "many", requests=40)))
    assert not [claim for claim in many.may_not_claim if "was sent" in claim]
