"""What a demo is asked to do, read and checked before anything starts: scenario, service, forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.forms import listing
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from lab.model.form import Form
from lab.model.load_expected import EXPECTED_FILE
from lab.model.load_scenario import SCENARIO_FILE, load_scenario
from lab.model.load_service import REFERENCE_FILE, SERVICE_FILE, load_service
from lab.model.scenario import BLOCKS, Scenario
from lab.model.service import Service
from lab.model.yamlspec import collect, nearest, problems_error
from lab.runs.plan import Wish
from lab.system import resources

TOPOLOGY_AUTO: Final = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A demo's files, all read and consistent."""

    scenario: Scenario
    service: Service
    forms: tuple[Form, ...]
    demo: DemoConfig


def scenarios_dir() -> Path:
    return resources.root() / "demo" / "scenarios"


def read(demo: DemoConfig, *, service_dir: Path | None = None, forms_given: bool = True) -> Asked:
    """Read what `demo` names. Raises ConfigError once, with every unknown name and every faulty file."""
    problems: list[str] = []
    known = listing.catalog(resources.root())
    own = service_dir / SCENARIO_FILE if service_dir and demo.scenario == DemoConfig().scenario else None
    named = str(own) if own is not None and own.is_file() else demo.scenario
    scenario = collect(lambda: _scenario(named), problems)
    default = scenario.forms if scenario is not None and scenario.forms and not forms_given else demo.forms
    names = list(dict.fromkeys(default))
    problems += [
        f"no form {name!r}{nearest(name, known)} (there are: {', '.join(known)})" for name in names if name not in known
    ]
    if not names:
        problems.append("no form is named")
    if demo.profile not in (*BLOCKS, "auto"):
        problems.append(f"no profile {demo.profile!r}{nearest(demo.profile, BLOCKS)} (there are: {', '.join(BLOCKS)})")
    service = None
    if scenario is not None:
        folder = service_dir or _service_dir(scenario)
        service = collect(lambda: load_service(folder), problems)
        if service is not None:
            unmatched = _unmatched(scenario, service, demo.topology)
            # the sample shop's scenario was only taken because there is no other: its names help nobody here
            alone = own if unmatched and own is not None and not own.is_file() else None
            problems += unmatched if alone is None else [f"{alone} is missing: it says what to ask this service"]
            problems += _unknown_forms(service, known)
            if alone is not None and len(problems) == 1:
                raise ConfigError(
                    problems[0], fix=f"write {alone} (docs/how-to/your-own-service.md), or name a scenario"
                )
    if problems or scenario is None or service is None:
        raise problems_error(problems)
    return Asked(scenario=scenario, service=service, forms=tuple(known[name] for name in names), demo=demo)


def _unknown_forms(service: Service, known: Mapping[str, Form]) -> list[str]:
    where = service.root / EXPECTED_FILE
    return [f"{where}: no form {name!r}{nearest(name, known)}" for name in service.expected if name not in known]


def _unmatched(scenario: Scenario, service: Service, topology: str) -> list[str]:
    """Nothing could be said of a request whose spans nobody wrote down, nor of a topology that is not there."""
    trees, reference = service.reference, service.root / REFERENCE_FILE
    problems = [
        f"{scenario.path}: request type {request.type!r} has no tree in {reference}{nearest(request.type, trees)}"
        for request in scenario.requests
        if request.type not in trees
    ]
    wanted, asked = (scenario.topology, scenario.path) if topology == TOPOLOGY_AUTO else (topology, "--topology")
    if wanted not in service.topologies:
        there = ", ".join(service.topologies)
        problems.append(f"{asked}: {service.name} has no topology {wanted!r} (there are: {there})")
    return problems


def _scenario(name: str) -> Scenario:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return load_scenario(path)
    path = scenarios_dir() / f"{name}.yaml"
    if not path.is_file():
        there = sorted(p.stem for p in scenarios_dir().glob("*.yaml"))
        raise ConfigError(f"no scenario {name!r}{nearest(name, there)} (there are: {', '.join(there)})", fix="name one")
    return load_scenario(path)


def _service_dir(scenario: Scenario) -> Path:
    """A relative path counts from the scenario's own folder, when a service is there; else from ours."""
    beside = scenario.path.parent / scenario.service  # an absolute one stays as it is
    return beside if (beside / SERVICE_FILE).is_file() else resources.root() / scenario.service


def resolve(asked: Asked, *, emulated: bool, facts: Mapping[str, Any]) -> Wish:
    """No "auto" left: profile, topology and rate for this kind of machine."""
    demo, scenario = asked.demo, asked.scenario
    profile = demo.profile if demo.profile != "auto" else ("stage" if emulated else "quick")
    topology = scenario.topology if demo.topology == TOPOLOGY_AUTO else demo.topology
    rate = demo.rate_rps or scenario.rate_rps["emulated" if emulated else "native"]
    return Wish(
        profile=profile,
        seed=demo.seed,
        topology=topology,
        rate_rps=rate,
        emulated=emulated,
        cpus=int(facts.get("cpus", 1)),
    )
