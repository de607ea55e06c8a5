"""When the load levels are searched for, and that one search serves every later run of the same programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.flows import levels, stages
from lab.flows.stages import Deployed, Work
from lab.guest.wire import Plan, Saturation
from lab.model.config import DemoConfig
from lab.model.events import Bus, Notice, Record
from lab.model.facts import MachineFacts
from tests.support import lab_at
from tests.unit.runs.test_plan import parameters, shop
from tests.unit.runs.test_saturation import plan

KEPT = {
    "baseline": Saturation(kept_rps=3200.0, lost_rps=4000.0),
    "orchestrion-otel": Saturation(kept_rps=2500.0, lost_rps=3200.0),
    "ebpf": Saturation(kept_rps=1000.0, lost_rps=1250.0),
}


class Searched:
    """A deployed demo, and how often it was searched."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.said, self.kept = 0, list[str](), KEPT
        monkeypatch.setattr(stages, "plan_of", lambda *_: plan())
        monkeypatch.setattr(levels, "_run", self._run)
        lab = lab_at(home)
        self.lab = replace(lab, bus=Bus((self._hear,)))
        self.work = cast("Work", SimpleNamespace(lab=self.lab))

    def _hear(self, record: Record) -> None:
        if isinstance(record.event, Notice):
            self.said.append(record.event.text)

    def _run(self, _: Any, of: Plan, __: Deployed) -> dict[str, Saturation]:
        assert of.until_saturated
        self.count += 1
        return self.kept

    def find(self, *, rate_rps: float = 0.0, **changed: Any) -> tuple[float, ...]:
        scenario, _ = shop()
        asked = SimpleNamespace(scenario=scenario, demo=replace(DemoConfig(), rate_rps=rate_rps))
        deployed = Deployed(
            prepared=cast("Any", SimpleNamespace(asked=asked)),
            transport=cast("Any", None),
            home=cast("Any", None),
            artifacts="",
            facts=MachineFacts.of({"cpus": 2}),
            parameters=parameters(**{"emulated": False, **changed}),
            specs={},
        )
        found = levels.find(self.work, deployed).parameters
        assert found.rate_rps == (found.levels[1] if found.levels else 5.0)
        assert dict(found.saturation) == (self.kept if found.levels else {})
        return found.levels


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searched:
    return Searched(tmp_path, monkeypatch)


def test_a_full_run_by_time_has_three_levels_by_one_search(searched: Searched) -> None:
    assert searched.find() == (200.0, 400.0, 600.0)
    assert searched.find() == (200.0, 400.0, 600.0)
    assert searched.count == 1, "so an interrupted run has the same plan again"
    first, second = searched.said
    assert first == (
        "the forms keep up with so many requests/s: baseline 3200, orchestrion-otel 2500, ebpf 1000;"
        " measured at 200, 400, 600"
    )
    (path,) = searched.lab.paths.saturation.iterdir()
    assert second.startswith(f"{first} (found on 2")
    assert second.endswith(f"; to search again, remove {path})"), "it may have been found beside other work"


@pytest.mark.parametrize("damaged", ["{", "[]", '{"ebpf": {"kept_rps": "x"}}'])
def test_a_damaged_result_is_searched_for_again(searched: Searched, damaged: str) -> None:
    searched.find()
    (path,) = searched.lab.paths.saturation.iterdir()
    path.write_text(damaged)
    assert searched.find() == (200.0, 400.0, 600.0)
    assert searched.count == 2


@pytest.mark.parametrize(
    "other",
    [
        {"rate_rps": 5.0},  # asked for
        {"emulated": True},
        {"clock": "counted"},
        {"profile": "quick"},
        {"profile": "rehearsal"},
    ],
)
def test_otherwise_there_is_one_level_and_no_search(searched: Searched, other: dict[str, Any]) -> None:
    assert searched.find(**other) == ()
    assert searched.count == 0


def test_a_form_that_was_not_proven_leaves_the_levels_to_the_others_and_is_searched_again(searched: Searched) -> None:
    searched.kept = {"baseline": KEPT["baseline"], "orchestrion-otel": KEPT["orchestrion-otel"]}
    assert searched.find() == (500.0, 1000.0, 1500.0)
    searched.kept = {}
    assert searched.find() == ()
    searched.kept = KEPT
    assert searched.find() == (200.0, 400.0, 600.0)
    assert searched.count == 3
