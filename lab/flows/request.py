"""The request of a demo, read and checked before anything starts: scenario, service, forms."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.forms import declared
from lab.model import regular
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from lab.model.facts import MachineFacts
from lab.model.form import Form
from lab.model.loading.load_expected import EXPECTED_FILE
from lab.model.loading.load_scenario import SCENARIO_FILE, load_scenario
from lab.model.loading.load_service import REFERENCE_FILE, load_service
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Clock
from lab.model.problems import collect, problems_error
from lab.model.scenario import CountedLoad, Scenario
from lab.model.service import SERVICE_FILE, Service
from lab.runs.plan import RunParameters
from lab.system import resources

TOPOLOGY_AUTO: Final = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """The files of a demo, read and consistent."""

    scenario: Scenario
    service: Service
    forms: tuple[Form, ...]
    demo: DemoConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """Digests of the files that a request is read from: an edited file is another one, whatever its name."""

    scenario: str
    service: str  # of all that describe it


def described(asked: DemoRequest) -> Described:
    """As the files are now. Raises ConfigError where one cannot be read."""
    files = [asked.service.root / name for name in (SERVICE_FILE, REFERENCE_FILE, EXPECTED_FILE)]
    parts = [hashlib.sha256(regular.content(path)).hexdigest() for path in files if os.path.lexists(path)]
    return Described(
        scenario=hashlib.sha256(regular.content(asked.scenario.path)).hexdigest(),
        service=hashlib.sha256(" ".join(parts).encode()).hexdigest(),
    )


def scenarios_dir() -> Path:
    return resources.root() / "demo" / "scenarios"


def read(demo: DemoConfig, *, service_dir: Path | None = None, forms_given: bool = True) -> DemoRequest:
    """Read the files that `demo` names. Raises one ConfigError with every unknown name and every faulty file."""
    problems: list[str] = []
    known = declared.catalog(resources.root())
    own = service_dir / SCENARIO_FILE if service_dir and demo.scenario == DemoConfig().scenario else None
    # a folder or a pipe of that name is reported, not skipped
    named = str(own) if own is not None and os.path.lexists(own) else demo.scenario
    scenario = collect(lambda: _scenario(named, problems), problems)
    chosen = scenario is not None and bool(scenario.forms) and not forms_given
    names = list(dict.fromkeys(scenario.forms if scenario is not None and chosen else demo.forms))
    for name in (name for name in names if name not in known):
        at = (
            f"{scenario.places.at(f'forms[{scenario.forms.index(name)}]')}: " if scenario is not None and chosen else ""
        )
        problems.append(f"{at}no form {name!r}{nearest(name, known)} (known: {', '.join(known)})")
    if not names:
        problems.append("no forms given")
    service = None
    folder = service_dir or (_service_dir(scenario, problems) if scenario is not None else None)
    if folder is not None:
        service = collect(lambda: load_service(folder, problems), problems)
    if scenario is not None and service is not None:
        unmatched = _unmatched(scenario, service, demo.topology)
        # the sample scenario was only the default: its names are of no use for this service
        alone = own if unmatched and own is not None and not os.path.lexists(own) else None
        problems += unmatched if alone is None else [f"{alone} is missing: it lists the requests to this service"]
        problems += _unknown_forms(service, known)
        if alone is not None and len(problems) == 1:
            raise ConfigError(problems[0], fix=f"write {alone} (docs/how-to/your-own-service.md), or give a scenario")
    if problems or scenario is None or service is None:
        raise problems_error(problems)
    forms = [known[name] for name in names]
    if not forms_given and not chosen:  # a control that nobody asked for, of a service that cannot be delayed
        forms = [form for form in forms if _can_delay(service, form)]
    return DemoRequest(scenario=scenario, service=service, forms=tuple(forms), demo=demo)


def with_controls(asked: DemoRequest) -> DemoRequest:
    """The same with the twin and the delay that `lab demo` adds by itself: no run has a word without them."""
    known, there = declared.catalog(resources.root()), {form.name for form in asked.forms}
    added = [
        form
        for form in (known[name] for name in DemoConfig().forms)
        if form.mechanism == "none" and form.name not in there and _can_delay(asked.service, form)
    ]
    return dataclasses.replace(asked, forms=(*asked.forms, *added))


def _can_delay(service: Service, form: Form) -> bool:
    return form.delay is None or form.delay[0] in service.delays


def _unknown_forms(service: Service, known: Mapping[str, Form]) -> list[str]:
    return [
        f"{service.places[EXPECTED_FILE].at(f'forms.{name}')}: no form {name!r}{nearest(name, known)}"
        for name in service.expected
        if name not in known and service.places[EXPECTED_FILE].sound(f"forms.{name}")
    ]


def _unmatched(scenario: Scenario, service: Service, topology: str) -> list[str]:
    """Request types without a reference tree, and a topology that the service does not have."""
    trees, places = service.reference, scenario.places
    problems = [
        f"{places.at(f'requests[{at}].type')}: request type {request.type!r} has no tree in"
        f" {service.root / REFERENCE_FILE}{nearest(request.type, trees)}"
        for at, request in enumerate(scenario.requests)
        if request.type not in trees
        and places.sound(f"requests[{at}].type")
        and service.places[REFERENCE_FILE].sound("requests" if not trees else f"requests.{request.type}")
    ]
    own = topology == TOPOLOGY_AUTO
    wanted, at_place = (scenario.topology, places.at("topology")) if own else (topology, "--topology")
    sound = service.sound("topologies") and (not own or places.sound("topology"))
    if sound and wanted not in service.topologies:
        known = ", ".join(service.topologies)
        near = nearest(wanted, service.topologies)
        problems.append(f"{at_place}: {service.name} has no topology {wanted!r}{near} (known: {known})")
    return problems


def _scenario(name: str, problems: list[str]) -> Scenario:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return load_scenario(path, problems)
    path = scenarios_dir() / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in scenarios_dir().glob("*.yaml"))
        raise ConfigError(f"no scenario {name!r}{nearest(name, known)} (known: {', '.join(known)})", fix="use one")
    return load_scenario(path, problems)


def _service_dir(scenario: Scenario, problems: list[str]) -> Path | None:
    """The folder of the scenario's service: relative to the scenario, else to lab's resources. None, and a problem with
    its place, when it does not exist."""
    if not scenario.places.sound("service"):
        return None
    beside = scenario.path.parent / scenario.service  # an absolute one stays as it is
    found = beside if os.path.lexists(beside / SERVICE_FILE) else resources.root() / scenario.service
    if found.is_dir():
        return found
    problems.append(f"{scenario.places.at('service')}: no folder {scenario.service!r} beside it or in lab's resources")
    return None


def resolve(asked: DemoRequest, *, emulated: bool, facts: MachineFacts, clock: Clock = "real") -> RunParameters:
    """Replace every "auto": profile, topology and rate for this kind of machine."""
    demo, scenario = asked.demo, asked.scenario
    profile = demo.profile if demo.profile != "auto" else ("stage" if emulated else "quick")
    topology = scenario.topology if demo.topology == TOPOLOGY_AUTO else demo.topology
    counted = scenario.counted if clock == "counted" else CountedLoad()
    rate = demo.rate_rps or counted.rate_rps or scenario.rate_rps["emulated" if emulated else "native"]
    requests = counted.requests or max(1, math.ceil(rate * scenario.seconds[profile]))
    return RunParameters(
        profile=profile,
        seed=demo.seed,
        topology=topology,
        rate_rps=rate,
        emulated=emulated,
        cpus=facts.cpus,
        clock=clock,
        requests=requests if clock == "counted" else 0,
    )
