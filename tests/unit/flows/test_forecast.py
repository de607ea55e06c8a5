"""The forecast of a run: from the newest run of this clock on this kind of machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from lab.flows import forecast
from lab.guest.wire import COUNTED, CellPlan, GuestManifest, Life, Plan, dump
from lab.model.events import Record, StepFinished, StepStarted
from lab.model.lab import Lab
from tests.support import lab_at
from tests.unit.report.synthetic_plan import plan as any_plan

WAITS_S = any_plan().timeouts.quiet_s + any_plan().timeouts.idle_s


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path)


def planned(cells: int, requests: int = 100, scenario: str = "shop", clock: str = "real") -> Plan:
    """A plan whose cells send for `requests` / 10 seconds each."""
    lives = tuple(
        Life(
            block=n,
            form="baseline",
            cells=(CellPlan(id=str(n), level="one", rate_rps=10.0, seed=1, warmup_requests=0, requests=requests),),
        )
        for n in range(1, cells + 1)
    )
    return replace(any_plan(), scenario=scenario, clock=clock, lives=lives)


def keep(
    lab: Lab,
    name: str,
    plan: Plan,
    seconds: float,
    *,
    starts: int = 1,
    provider: str = "local",
    outcome: Literal["complete", "failed"] = "complete",
    cells: int | None = None,
) -> None:
    """A complete run of `plan` whose cells took `seconds` in all. cells: how many it has; None: all."""
    folder = lab.paths.runs / name
    folder.mkdir(parents=True)
    manifest = {"run_id": name, "provider": provider, "acceleration": "none"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "plan.json").write_text(dump(plan))
    ids = tuple(cell.id for life in plan.lives for cell in life.cells)[:cells]
    (folder / "guest").mkdir()
    sealed = GuestManifest(name, "0" * 64, "boot", ids, (), outcome)
    (folder / "guest/manifest.json").write_text(dump(sealed))
    events = [StepStarted(name="run", title="demo under load")] * starts
    ended = StepFinished(name="run", outcome="done", seconds=seconds)
    records = [Record(seq=1, at=100.0, step=1, parent=0, event=event) for event in events]
    records.append(Record(seq=2, at=100.0 + seconds, step=1, parent=0, event=ended))
    (folder / "host-events.jsonl").write_text("".join(json.dumps(one.to_json()) + "\n" for one in records))


def of(lab: Lab, plan: Plan) -> forecast.Forecast:
    return forecast.of(lab, plan, provider="local", acceleration="none", emulated=False)


def test_without_a_run_it_is_called_a_guess(lab: Lab) -> None:
    told = of(lab, planned(4))
    assert told.seconds == 4 * (10 + WAITS_S + forecast.BESIDE_LOAD_S["native"])
    assert "rough guess" in told.text()


def test_time_beside_the_load_is_that_of_the_earlier_run(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2), 36.0)  # 20 s of load, 8 s beside it for each cell
    told = of(lab, planned(10, requests=600))
    assert told == forecast.Forecast(seconds=10 * (60 + 8), by="20260101-000000-shop-aaaa")
    assert (
        told.text()
        == "the cells take about 11 min 20 s where nothing else runs (as cells of run 20260101-000000-shop-aaaa took)"
    )


def test_the_same_scenario_comes_before_a_faster_run_of_another(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2), 80.0)
    keep(lab, "20260102-000000-http-bbbb", planned(2, scenario="http"), 36.0)
    assert of(lab, planned(1)).by == "20260101-000000-shop-aaaa"
    assert of(lab, planned(1, scenario="flows")).by == "20260102-000000-http-bbbb"


def test_a_life_of_several_cells_starts_and_is_proven_once(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2), 36.0)  # 8 s beside the load, of it WAITS_S after the cell
    (life,) = planned(1).lives
    three = replace(planned(1), lives=(replace(life, cells=life.cells * 3),))
    assert of(lab, three).seconds == pytest.approx(3 * (10 + WAITS_S) + 8 - WAITS_S)


def test_of_several_the_fastest_is_taken(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2), 36.0)
    keep(lab, "20260102-000000-shop-bbbb", planned(2), 90.0)
    assert of(lab, planned(1)).by == "20260101-000000-shop-aaaa"


def test_what_is_not_like_it_is_passed_over(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2), 36.0, starts=2)  # resumed: its time is not known
    keep(lab, "20260102-000000-shop-bbbb", planned(2), 36.0, provider="qemu")
    keep(lab, "20260103-000000-shop-cccc", planned(2, clock=COUNTED), 36.0)
    keep(lab, "20260104-000000-shop-dddd", planned(2), 36.0)
    (lab.paths.runs / "20260104-000000-shop-dddd" / "plan.json").write_text("{")
    assert of(lab, planned(1)).by == ""


def test_a_counted_run_takes_as_long_as_one_of_its_scenario_by_the_number_of_requests(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", planned(2, clock=COUNTED), 36.0)
    keep(lab, "20260102-000000-http-bbbb", planned(2, scenario="http", clock=COUNTED), 4.0)
    found = of(lab, planned(10, requests=600, clock=COUNTED))
    assert found.by == "20260101-000000-shop-aaaa"
    assert found.seconds == pytest.approx(36.0 / 200 * 6000)
    dear, cheap = (
        forecast.of(
            lab,
            planned(10, scenario="flows", clock=COUNTED),
            provider="local",
            acceleration="none",
            emulated=True,
            request_ms=request_ms,
        )
        for request_ms in (4.6, 0.3)
    )
    assert (dear.by, cheap.by) == ("", "")
    assert dear.seconds > 2 * cheap.seconds


def test_a_run_of_the_same_forms_comes_before_a_faster_one_of_fewer(lab: Lab) -> None:
    whole = planned(2, clock=COUNTED)
    fewer = replace(whole, forms=dict(list(whole.forms.items())[:1]))
    keep(lab, "20260101-000000-shop-aaaa", whole, 36.0)
    keep(lab, "20260102-000000-shop-bbbb", fewer, 4.0)
    assert of(lab, whole).by == "20260101-000000-shop-aaaa"
    assert of(lab, fewer).by == "20260102-000000-shop-bbbb"


@pytest.mark.parametrize("clock", ["real", COUNTED])
def test_a_run_that_ended_early_tells_nothing(lab: Lab, clock: str) -> None:
    """A form that was not proven is fast: its cells never ran."""
    plan = planned(10, clock=clock)
    keep(lab, "20260101-000000-shop-aaaa", plan, 180.0)
    expected = of(lab, plan)
    assert expected == forecast.Forecast(seconds=180.0, by="20260101-000000-shop-aaaa")
    keep(lab, "20260102-000000-shop-bbbb", plan, 36.0, outcome="failed", cells=2)
    keep(lab, "20260103-000000-shop-cccc", plan, 36.0, outcome="failed")
    keep(lab, "20260104-000000-shop-dddd", plan, 36.0, cells=2)
    keep(lab, "20260105-000000-shop-eeee", plan, 36.0)
    (lab.paths.runs / "20260105-000000-shop-eeee/guest/manifest.json").unlink()
    assert of(lab, plan) == expected
