"""The search for the load that each form keeps up with, and the levels that follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

import pytest

from lab.guest.wire import Gate, Plan, Saturation
from lab.model.errors import DemoError
from lab.model.facts import MachineFacts
from lab.model.run import Request, RunCell
from lab.runs import saturation
from tests.simulate.session import CELL
from tests.unit.runs.test_plan import made, spec

USUAL_RPS = 100.0
REFUSED = Gate("errors", False, 741.0, 0.0, "answers with an unexpected status")
DEAD = Gate("service_alive", False, 0.0, 1.0, "service shop killed by signal 9")


def plan() -> Plan:
    found = made(emulated=False, rate_rps=USUAL_RPS)
    instrumented = {name: dataclasses.replace(spec(name), mechanism="x") for name in ("orchestrion-otel", "ebpf")}
    delay = dataclasses.replace(spec("delay-cpu"), delay_kind="cpu")
    return dataclasses.replace(found, forms={"delay-cpu": delay, **found.forms, **instrumented})


def rows(rate_rps: float, most_rps: float) -> Iterator[Request]:
    """Three seconds of load at a service that answers one request after the other, `most_rps` in a second."""
    free = 0.0
    for at in range(int(3 * rate_rps)):
        sent = at / rate_rps
        free = max(free, sent) + 1 / most_rps
        yield Request(int(sent * 1e9), int(sent * 1e9), int(free * 1e9), 200, "venues", "", "")


def cells(of: Plan, most_rps: dict[str, float]) -> list[RunCell]:
    """Of a search as the guest half runs it: each form up to the first rate that is too much."""
    found = []
    for life in of.lives:
        for cell in life.cells:
            own = tuple(rows(cell.rate_rps, most_rps[life.form]))
            measured = dataclasses.replace(CELL, id=cell.id, form=life.form, rate_rps=cell.rate_rps)
            found.append(RunCell(cell=measured, folder=f"cells/{cell.id}", requests=partial(iter, own)))
            if cell.rate_rps > most_rps[life.form]:
                break
    return found


def test_the_rates_rise_by_a_quarter_on_one_grid() -> None:
    found = saturation.rates(USUAL_RPS)
    assert found[:5] == (25.0, 32.0, 40.0, 50.0, 63.0)
    assert found[-1] == 1600.0
    assert set(saturation.rates(80.0)) & set(found), "two scenarios meet the same rates"
    assert max(saturation.rates(50_000.0)) <= 100_000


def test_a_search_has_the_service_and_each_instrumented_form_once() -> None:
    of = saturation.search(plan(), USUAL_RPS)
    assert [life.form for life in of.lives] == ["baseline", "orchestrion-otel", "ebpf"]
    assert list(of.forms) == [life.form for life in of.lives]
    assert of.until_saturated
    assert len({cell.id for life in of.lives for cell in life.cells}) == len(of.lives) * len(of.lives[0].cells)
    facts = MachineFacts.of({"cpus": 2})
    assert saturation.key(of, facts) == saturation.key(dataclasses.replace(of, run_id="other"), facts)
    assert saturation.key(of, facts) != saturation.key(of, MachineFacts.of({"cpus": 4}))


def test_what_is_kept_up_with_and_what_no_more() -> None:
    of = saturation.search(plan(), USUAL_RPS)
    kept = saturation.found(of, cells(of, {"baseline": 9e9, "orchestrion-otel": 450.0, "ebpf": 210.0}))
    assert kept == {
        "baseline": Saturation(kept_rps=1600.0),
        "orchestrion-otel": Saturation(kept_rps=400.0, lost_rps=500.0),
        "ebpf": Saturation(kept_rps=200.0, lost_rps=250.0),
    }
    assert saturation.levels(kept, ("orchestrion-otel", "ebpf"), (0.2, 0.4, 0.6)) == (40.0, 80.0, 120.0)
    assert saturation.levels(kept, (), (0.5,)) == (100.0,), "without an instrumented form, of all"


def tried(of: Plan, rate_rps: float, *gates: Gate) -> dict[str, Saturation]:
    """What is found where each attempt of `ebpf` at this rate missed one of the gates, and no other form any."""
    found = []
    for one in cells(of, dict.fromkeys(of.forms, 9e9)):
        bad = gates if (one.cell.form, one.cell.rate_rps) == ("ebpf", rate_rps) else ()
        found += [
            dataclasses.replace(one, cell=dataclasses.replace(one.cell, attempt=at, valid=False, gates=(gate,)))
            for at, gate in enumerate(bad, 1)
        ] or [one]
    return saturation.found(of, found)


@pytest.mark.parametrize("gates", [(DEAD, DEAD), (REFUSED,), (DEAD, REFUSED)])
def test_a_process_that_dies_twice_and_requests_that_fail_are_too_much_as_well(gates: tuple[Gate, ...]) -> None:
    of = saturation.search(plan(), USUAL_RPS)
    assert tried(of, 63.0, *gates)["ebpf"] == Saturation(kept_rps=50.0, lost_rps=63.0)


@pytest.mark.parametrize("rate_rps", [25.0, 500.0])
def test_one_stray_answer_is_no_limit(rate_rps: float) -> None:
    """One 404 among 1,500 requests was one, and was kept for later runs."""
    of = saturation.search(plan(), USUAL_RPS)
    stray = dataclasses.replace(REFUSED, value=5.0)  # of 1,000: as many as a cell may lack
    assert tried(of, rate_rps, stray)["ebpf"] == Saturation(kept_rps=1600.0)


def test_a_process_that_dies_once_is_no_limit() -> None:
    of = saturation.search(plan(), USUAL_RPS)
    late = Gate("late", False, 0.1, 0.02)
    assert tried(of, 63.0, DEAD, late)["ebpf"] == Saturation(kept_rps=1600.0)
    assert tried(of, 1600.0, DEAD)["ebpf"] == Saturation(kept_rps=1250.0), "it never kept up with that rate"


@pytest.mark.parametrize(
    ("gates", "why"),
    [
        ((DEAD, DEAD), "service shop killed by signal 9"),
        ((REFUSED,), "741 of 1000 answers with an unexpected status"),
        ((Gate("completed", False, 0.25, 0.995),), "0.25 of its requests were answered"),
    ],
)
def test_what_failed_at_the_lowest_rate_is_said(gates: tuple[Gate, ...], why: str) -> None:
    with pytest.raises(DemoError) as caught:
        tried(saturation.search(plan(), USUAL_RPS), 25.0, *gates)
    assert caught.value.message == f"ebpf falls behind at 25 requests/s ({why}): there are no load levels"


def test_a_form_behind_at_the_lowest_rate_is_named_and_one_without_a_cell_left_out() -> None:
    of = saturation.search(plan(), USUAL_RPS)
    most = {"baseline": 9e9, "orchestrion-otel": 9e9, "ebpf": 10.0}
    with pytest.raises(DemoError, match="ebpf falls behind at 25 requests/s") as caught:
        saturation.found(of, cells(of, most))
    assert "--rate" in caught.value.fix
    without = [one for one in cells(of, {**most, "ebpf": 9e9}) if one.cell.form != "ebpf"]
    assert list(saturation.found(of, without)) == ["baseline", "orchestrion-otel"]
    assert saturation.found(of, []) == {}
    assert saturation.levels({}, ("ebpf",), (0.2, 0.4, 0.6)) == ()
