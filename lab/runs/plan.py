"""Make the plan of a run from scenario, forms and seed: blocks of shuffled lives. Pure."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.guest.wire import (
    COUNTED,
    CellPlan,
    FormSpec,
    Gates,
    Layout,
    Life,
    Plan,
    Saturation,
    ServiceSpec,
    Timeouts,
    Tools,
    canonical,
)
from lab.guest.wire.plan import SEQUENTIAL
from lab.guest.wire.waits import IN_FLIGHT_MAX, meant_in_flight
from lab.model.config import Profile
from lab.model.errors import ConfigError
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Clock
from lab.model.scenario import PROFILES, RATE_MAX_RPS, REQUESTS_MAX, Scenario
from lab.model.service import Service
from lab.runs import readable

# factor on the timeouts of a quiet native machine for an emulated guest
EMULATED_FACTOR: Final = 8.0
LEVEL: Final = "one"  # where there is no other
LEVELS: Final = ("low", "middle", "high")
BETWEEN_LEVELS: Final = 0.5  # of a level's seconds go to the drains: a life takes as long as with one level
FAST: Final = "fast"
SLOW: Final = "slow"  # the same requests in more time: the difference is the standing cost
SLOW_DOWN: Final = 3.0
EXPORT_VARIABLE: Final = "OTEL_BSP_SCHEDULE_DELAY"  # milliseconds between two batches of spans
EXPORT_S: Final = 5.0  # of a form that does not set it: OpenTelemetry's interval
DD_EXPORT_S: Final = 2.0  # and dd-trace-go's
DD_PREFIX: Final = "DD_"  # of its variables
MARGIN_S: Final = 1.0  # for a batch to arrive
MEANT_MOST: Final = 0.8  # of what may be open: by chance, more wait at times, and the other types need some too
COUNTED_MARGIN_S: Final = 0.2  # a counted second is never late
DRAIN_BATCHES: Final = 3  # a drain ends at the latest when this many batches did not end it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParameters:
    """The parameters of a run, resolved: no "auto"."""

    profile: Profile
    seed: int
    topology: str
    rate_rps: float
    emulated: bool
    cpus: int
    clock: Clock = "real"
    requests: int = 0  # of a counted cell
    saturation: Mapping[str, Saturation] = field(default_factory=dict)  # of each form that was searched for it
    levels: tuple[float, ...] = ()  # rates, the lowest first; none: `rate_rps` alone


def make(
    run_id: str,
    scenario: Scenario,
    service: Service,
    forms: Mapping[str, FormSpec],
    tools: Tools,
    parameters: RunParameters,
) -> Plan:
    """The plan for the guest half. Same inputs, same plan: order, arrivals and data come from `parameters.seed`.

    Raises ConfigError for request types without a reference tree, for an unknown topology, and for a load that cannot
    be sent or whose rows cannot be read again.
    """
    _check(scenario, service, parameters)
    plan = Plan(
        run_id=run_id,
        scenario=scenario.name,
        profile=parameters.profile,
        seed=parameters.seed,
        service=_service(service, parameters.topology),
        forms=dict(forms),
        tools=tools,
        reference={r.type: service.reference[r.type] for r in scenario.requests if r.type in service.reference},
        requests=scenario.requests,
        lives=(_counted_lives if parameters.clock == COUNTED else _lives)(scenario, tuple(forms), parameters),
        canary=tuple(r.type for r in scenario.requests),
        gates=Gates(late_hard=not parameters.emulated),
        timeouts=_timeouts(parameters, forms.values()),
        layout=_layout(parameters.cpus),
        arrivals=SEQUENTIAL if parameters.clock == COUNTED else scenario.arrivals,
        clock=parameters.clock,
        saturation=dict(parameters.saturation),
    )
    if found := [f"{scenario.path}: {fault}" for fault in readable.faults(plan)]:
        raise ConfigError("\n".join(found), fix=f"edit {scenario.path}, or use a lower --rate or a shorter --profile")
    return plan


def without_load(plan: Plan) -> Plan:
    """The plan with each form once and without cells, for the proofs only."""
    lives = tuple(dataclasses.replace(life, cells=()) for life in plan.lives if life.block == 1)
    return dataclasses.replace(plan, lives=lives)


def identity(plan: Plan) -> bytes:
    """The plan without its run id: a killed run with the same identity is resumed."""
    return canonical(dataclasses.replace(plan, run_id=""))


def _check(scenario: Scenario, service: Service, parameters: RunParameters) -> None:
    problems = []
    if parameters.topology not in service.topologies:
        known = ", ".join(service.topologies)
        problems.append(f"{service.root}: no topology {parameters.topology!r} (known: {known})")
    problems += [
        f"{scenario.path}: request type {r.type!r} has no tree in {service.root / 'reference-spans.yaml'}"
        f"{nearest(r.type, service.reference)}"
        for r in scenario.requests
        if r.type not in service.reference
    ]
    requests = parameters.requests or parameters.rate_rps * scenario.seconds[parameters.profile]
    if parameters.rate_rps > RATE_MAX_RPS or requests > REQUESTS_MAX:
        problems.append(
            f"{scenario.path}: {requests:,.0f} requests per cell at {parameters.rate_rps:g}/s; the load generator"
            f" sends at most {REQUESTS_MAX:,} at {RATE_MAX_RPS:,}/s"
        )
    problems += _never_sent(scenario, parameters)
    if problems:
        raise ConfigError("\n".join(problems), fix=f"edit {scenario.path}, or use --rate")


def _never_sent(scenario: Scenario, parameters: RunParameters) -> list[str]:
    """Why the load generator could not send all: too many requests wait for a timeout that is expected."""
    if parameters.clock == COUNTED:
        return []  # one after the other
    rate_rps = max(parameters.rate_rps, *parameters.levels, 0.0)
    meant = meant_in_flight(scenario.requests, Timeouts().request_s, rate_rps)
    if meant <= IN_FLIGHT_MAX * MEANT_MOST:
        return []
    waiting = f"{scenario.path}: at {rate_rps:g}/s, {meant:,.0f} requests wait for their timeout at once"
    return [f"{waiting}; the load generator keeps at most {IN_FLIGHT_MAX:,} open"]


def _service(service: Service, topology: str) -> ServiceSpec:
    return ServiceSpec(
        name=service.name,
        topology=topology,
        processes=service.topologies[topology],
        ports=service.ports,
        target=service.target,
        ready_port=service.ready_port,
        ready_path=service.ready_path,
        ready_status=service.ready_status,
        build_header=service.build_header,
        form_header=service.form_header,
        delay_header=service.delay_header,
    )


def _lives(scenario: Scenario, forms: tuple[str, ...], parameters: RunParameters) -> tuple[Life, ...]:
    """One life per form and block; a block is a random permutation of all forms with the same arrivals for each.

    Several levels share the seconds of one, in an order that is drawn for each block and the same for its forms.
    """
    levels = dict(zip(LEVELS, parameters.levels, strict=True)) if parameters.levels else {LEVEL: parameters.rate_rps}
    seconds = scenario.seconds[parameters.profile]
    if len(levels) > 1:
        seconds /= len(levels) + BETWEEN_LEVELS
    lives = []
    for block in range(1, PROFILES[parameters.profile].blocks + 1):
        order = list(forms)
        random.Random(f"order/{parameters.seed}/{block}").shuffle(order)  # noqa: S311 - a seeded order, no secret
        arrivals = random.Random(f"arrivals/{parameters.seed}/{block}").getrandbits(31)  # noqa: S311 - likewise
        steps = list(levels)
        random.Random(f"levels/{parameters.seed}/{block}").shuffle(steps)  # noqa: S311 - likewise
        for form in order:
            cells = tuple(
                CellPlan(
                    id=f"{block:02d}-{form}-{level}",
                    level=level,
                    rate_rps=levels[level],
                    seed=arrivals,
                    warmup_requests=scenario.warmup_requests,
                    requests=max(1, math.ceil(levels[level] * seconds)),
                )
                for level in steps
            )
            lives.append(Life(block=block, form=form, cells=cells))
    return tuple(lives)


def _counted_lives(scenario: Scenario, forms: tuple[str, ...], parameters: RunParameters) -> tuple[Life, ...]:
    """Several blocks in each life, since counts do not drift; several lives, since no two starts are equal.

    Every block has its own requests, the same for all forms; in the first of a life, they are also sent slowly.
    """
    lives, each = [], scenario.counted.blocks
    for number in range(1, PROFILES[parameters.profile].counted_lives + 1):
        order = list(forms)
        random.Random(f"order/{parameters.seed}/{number}").shuffle(order)  # noqa: S311 - a seeded order, no secret
        blocks = range((number - 1) * each + 1, number * each + 1)
        steps = [(block, FAST) for block in blocks]
        if number == 1 or parameters.profile != "stage":
            steps.insert(1, (blocks[0], SLOW))
        for form in order:
            cells = tuple(
                CellPlan(
                    id=f"{block:02d}-{form}-{level}",
                    level=level,
                    rate_rps=parameters.rate_rps / (SLOW_DOWN if level == SLOW else 1.0),
                    seed=random.Random(f"arrivals/{parameters.seed}/{block}").getrandbits(31),  # noqa: S311 - likewise
                    warmup_requests=scenario.warmup_requests if at == 0 else 0,
                    requests=parameters.requests,
                    block=block,
                )
                for at, (block, level) in enumerate(steps)
            )
            lives.append(Life(block=number, form=form, cells=cells))
    return tuple(lives)


def _timeouts(parameters: RunParameters, forms: Iterable[FormSpec]) -> Timeouts:
    base = Timeouts()
    factor = EMULATED_FACTOR if parameters.emulated else 1.0
    counted = parameters.clock == COUNTED
    export_s = _export_s(forms)
    quiet_s = export_s + COUNTED_MARGIN_S if counted else max(base.quiet_s, export_s + MARGIN_S)
    return dataclasses.replace(
        base,
        drain_s=max(base.drain_s, DRAIN_BATCHES * quiet_s),
        ready_s=base.ready_s * factor / 2,
        first_span_s=base.first_span_s * factor / 2,
        stop_s=base.stop_s * factor / 2,
        request_s=base.request_s,
        quiet_s=quiet_s,
        idle_s=0.0 if counted else 1.0,
    )


def _export_s(forms: Iterable[FormSpec]) -> float:
    """The longest time between two batches of any form: every form waits as long, so that all stand by equally long."""
    found = [0.0]
    for form in forms:
        if form.proof == "some":
            env = form.env | (form.agent.env if form.agent else {})
            said = env.get(EXPORT_VARIABLE, "")
            default_s = DD_EXPORT_S if any(name.startswith(DD_PREFIX) for name in env) else EXPORT_S
            found.append(int(said) / 1000 if said.isdecimal() else default_s)
    return max(found)


def _layout(cpus: int) -> Layout:
    """Separate CPUs for service and agent, and for load and sink, where there are enough."""
    if cpus < 4:
        return Layout(said=f"service, agent, load and sink share {cpus} CPUs")
    half = cpus // 2
    return Layout(
        service=f"0-{half - 1}",
        tools=f"{half}-{cpus - 1}",
        said=f"service and agent on CPUs 0-{half - 1}, load and sink on {half}-{cpus - 1}",
    )
