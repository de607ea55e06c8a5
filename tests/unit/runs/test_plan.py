"""The plan is pure: same parameters, same plan; every block holds each form once, in an order of its own."""

from __future__ import annotations

import dataclasses

import pytest

from lab.guest.wire import FormSpec, Plan, Timeouts, Tools, dump, load
from lab.model.errors import ConfigError
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_service
from lab.model.scenario import PROFILES, Scenario
from lab.model.service import Service
from lab.runs import plan as planning
from lab.runs.plan import RunParameters, identity, make
from lab.system import resources

FORMS = ("baseline", "twin", "orchestrion-otel", "ebpf")
TOOLS = Tools(load="bin/load", load_sha256="0" * 64, sink="bin/sink", sink_sha256="1" * 64)


def shop() -> tuple[Scenario, Service]:
    root = resources.root()
    scenario = load_scenario(root / "demo" / "scenarios" / "shop.yaml")
    return scenario, load_service(root / scenario.service)


def spec(name: str) -> FormSpec:
    return FormSpec(name=name, mechanism="none", binary=f"bin/{name}", sha256="2" * 64, build_id="b")


def parameters(**change: object) -> RunParameters:
    base = RunParameters(profile="full", seed=1, topology="all", rate_rps=5.0, emulated=True, cpus=2)
    return dataclasses.replace(base, **change)  # type: ignore[arg-type]  # keys of RunParameters


def made(run_id: str = "r", **change: object) -> Plan:
    scenario, service = shop()
    return make(run_id, scenario, service, {name: spec(name) for name in FORMS}, TOOLS, parameters(**change))


def test_same_parameters_same_plan_and_its_name_does_not_matter() -> None:
    assert made() == made()
    assert made("a").digest() != made("b").digest()
    assert identity(made("a")) == identity(made("b"))
    assert identity(made()) != identity(made(seed=2))


def test_every_block_holds_each_form_once_in_its_own_order() -> None:
    plan = made()
    blocks: dict[int, list[str]] = {}
    for life in plan.lives:
        blocks.setdefault(life.block, []).append(life.form)
    assert len(blocks) == PROFILES["full"].blocks
    assert all(sorted(order) == sorted(FORMS) for order in blocks.values())
    assert len({tuple(order) for order in blocks.values()}) > 3


def test_arrivals_are_the_same_for_every_form_of_a_block_and_new_in_the_next() -> None:
    seeds: dict[int, set[int]] = {}
    for life in made().lives:
        seeds.setdefault(life.block, set()).update(cell.seed for cell in life.cells)
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)


def test_cell_names_are_unique_and_requests_follow_rate_and_time() -> None:
    scenario, _ = shop()
    cells = [cell for life in made(profile="stage").lives for cell in life.cells]
    assert len({cell.id for cell in cells}) == len(cells) == len(FORMS)
    assert {cell.requests for cell in cells} == {round(5.0 * scenario.seconds["stage"])}


def test_levels_share_the_seconds_of_one_in_an_order_that_is_the_same_for_the_forms_of_a_block() -> None:
    scenario, _ = shop()
    plan = made(emulated=False, rate_rps=40.0, levels=(20.0, 40.0, 60.0))
    orders: dict[int, set[tuple[str, ...]]] = {}
    for life in plan.lives:
        assert {cell.level: cell.rate_rps for cell in life.cells} == {"low": 20.0, "middle": 40.0, "high": 60.0}
        assert sum(cell.requests / cell.rate_rps for cell in life.cells) <= scenario.seconds["full"]
        orders.setdefault(life.block, set()).add(tuple(cell.level for cell in life.cells))
    assert all(len(found) == 1 for found in orders.values())
    assert len(set.union(*orders.values())) > 2
    cells = [cell.id for life in plan.lives for cell in life.cells]
    assert len(set(cells)) == len(cells)


BLOCKS = 10  # of a life, in the scenario shop


def test_counted_lives_hold_blocks_of_whole_requests_that_are_the_same_for_every_form() -> None:
    plan = made(clock="counted", requests=160, rate_rps=40.0, profile="stage", cpus=1)
    assert [life.block for life in plan.lives] == [1] * len(FORMS) + [2] * len(FORMS)
    assert (plan.clock, plan.arrivals, plan.timeouts.idle_s) == ("counted", "sequential", 0.0)
    cells = {form: [c for life in plan.lives if life.form == form for c in life.cells] for form in FORMS}
    assert {(cell.level, cell.requests) for found in cells.values() for cell in found} == {("fast", 160), ("slow", 160)}
    shape = [(cell.block, cell.level, cell.rate_rps, cell.seed, cell.warmup_requests > 0) for cell in cells["ebpf"]]
    for form in FORMS:
        assert [(c.block, c.level, c.rate_rps, c.seed, c.warmup_requests > 0) for c in cells[form]] == shape
    fast = {cell.block: cell.seed for cell in cells["ebpf"] if cell.level == "fast"}
    assert sorted(fast) == list(range(1, PROFILES["stage"].counted_lives * BLOCKS + 1))
    assert len(set(fast.values())) == len(fast)
    (slow,) = (cell for cell in cells["ebpf"] if cell.level == "slow")
    assert slow.seed == fast[slow.block]
    assert slow.rate_rps == pytest.approx(40.0 / 3)
    assert [warm for *_, warm in shape] == [True, *[False] * BLOCKS, True, *[False] * (BLOCKS - 1)]


def test_every_form_waits_for_the_slowest_batch_of_spans_of_any() -> None:
    scenario, service = shop()

    def waits(**env: str) -> float:
        batched = dataclasses.replace(spec("woven"), proof="some", env=env)
        forms = {"baseline": spec("baseline"), "woven": batched}
        return make("r", scenario, service, forms, TOOLS, parameters(clock="counted", requests=10)).timeouts.quiet_s

    slow, fast = waits(OTEL_BSP_SCHEDULE_DELAY="1000"), waits(OTEL_BSP_SCHEDULE_DELAY="200")
    assert slow - fast == pytest.approx(0.8)
    assert waits(DD_SERVICE="shop") == pytest.approx(2.2)  # dd-trace-go sends every two seconds
    assert waits() > 5.0  # OpenTelemetry every five


def test_a_drain_on_a_real_clock_outlasts_the_slowest_batch_of_spans_too() -> None:
    scenario, service = shop()

    def timeouts(**env: str) -> Timeouts:
        woven = dataclasses.replace(spec("woven"), proof="some", env=env)
        forms = {"baseline": spec("baseline"), "woven": woven}
        return make("r", scenario, service, forms, TOOLS, parameters(requests=10)).timeouts

    assert timeouts(OTEL_BSP_SCHEDULE_DELAY="200").quiet_s == Timeouts().quiet_s
    assert timeouts(OTEL_BSP_SCHEDULE_DELAY="20000").quiet_s == pytest.approx(21.0)
    assert timeouts(OTEL_BSP_SCHEDULE_DELAY="20000").drain_s > 60
    assert timeouts().quiet_s > 5.0, "OpenTelemetry's default"


def test_the_plan_survives_the_wire() -> None:
    plan = made()
    assert load(Plan, dump(plan)) == plan


def test_layout_parts_cpus_only_where_there_are_enough() -> None:
    assert made(cpus=2).layout.service == ""
    assert made(cpus=8).layout.service == "0-3"
    assert made(cpus=8).layout.tools == "4-7"


def test_emulation_stretches_limits_not_the_load() -> None:
    slow, fast = made(emulated=True), made(emulated=False)
    assert slow.timeouts.ready_s > fast.timeouts.ready_s
    assert slow.lives == fast.lives
    assert planning.EMULATED_FACTOR > 1


def test_unknown_topology_and_type_are_told_together() -> None:
    scenario, service = shop()
    odd = dataclasses.replace(scenario.requests[0], type="brwose")
    scenario = dataclasses.replace(scenario, requests=(odd, *scenario.requests[1:]))
    with pytest.raises(ConfigError) as error:
        make("r", scenario, service, {}, TOOLS, parameters(topology="pods"))
    assert "no topology 'pods'" in error.value.message
    assert "did you mean 'browse'?" in error.value.message


def test_late_sends_are_judged_but_under_emulation() -> None:
    assert made(emulated=False).gates.late_hard
    assert not made(emulated=True).gates.late_hard


def test_more_that_wait_than_can_be_open_are_refused() -> None:
    scenario, service = shop()
    slow = dataclasses.replace(scenario.requests[0], timeout_s=60.0, expect_timeout=True)
    scenario = dataclasses.replace(scenario, requests=(slow, *scenario.requests[1:]))

    def planned(rate_rps: float, **change: object) -> Plan:
        at = parameters(rate_rps=rate_rps, **change)
        return make("r", scenario, service, {name: spec(name) for name in FORMS}, TOOLS, at)

    assert planned(90.0).lives
    with pytest.raises(ConfigError, match="at 200/s, 6,600 requests wait for their timeout at once"):
        planned(200.0)
    assert planned(200.0, clock="counted", requests=100).lives
