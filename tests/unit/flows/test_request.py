"""What a demo is asked to do: every fault told at once, defaults from the scenario and the machine."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from lab.flows import request
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from lab.model.facts import MachineFacts
from lab.model.loading.load_config import load
from lab.system import resources
from tests.support import ROOT


def test_the_sample_demo_can_be_read() -> None:
    asked = request.read(DemoConfig())
    assert asked.scenario.name == "shop"
    assert asked.service.name == "shop"
    assert [form.name for form in asked.forms] == ["baseline", "twin", "delay-cpu", "orchestrion-otel", "ebpf"]


def test_every_scenario_of_the_repository_can_be_read() -> None:
    names = [path.stem for path in request.scenarios_dir().glob("*.yaml")]
    assert names
    for name in names:
        assert request.read(DemoConfig(scenario=name)).scenario.name == name


def test_controls_are_added_where_they_are_missing_and_the_service_has_them() -> None:
    asked = request.read(DemoConfig(forms=("baseline", "ebpf")))
    whole = request.with_controls(asked)
    assert [form.name for form in whole.forms] == ["baseline", "ebpf", "twin", "delay-cpu"]
    assert request.with_controls(whole) == whole
    bare = dataclasses.replace(asked, service=dataclasses.replace(asked.service, delays={}))
    assert [form.name for form in request.with_controls(bare).forms] == ["baseline", "ebpf", "twin"]


def test_unknown_names_are_told_together_with_the_nearest() -> None:
    flags = {"demo.scenario": "shpo", "demo.forms": "baseline,ebfp", "demo.profile": "satge"}
    with pytest.raises(ConfigError) as caught:
        load({}, {}, flags, also=lambda config: request.read(config.demo))
    said = f"{caught.value.message}\n{caught.value.detail}"
    for part in ("did you mean 'shop'?", "did you mean 'ebpf'?", "did you mean 'stage'?"):
        assert part in said


def test_no_form_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no forms given"):
        request.read(DemoConfig(forms=()))


def test_a_form_named_twice_is_one() -> None:
    asked = request.read(DemoConfig(forms=("twin", "baseline", "twin")))
    assert [form.name for form in asked.forms] == ["twin", "baseline"]


def test_a_scenario_beside_its_service_finds_it_from_anywhere() -> None:
    foreign = ROOT / "tests" / "contract" / "foreign"
    asked = request.read(DemoConfig(scenario=str(foreign / "scenario.yaml"), forms=("baseline",)))
    assert asked.service.root == foreign
    assert asked.service.topologies["all"][0].env == {"STOCK": "127.0.0.1:{port:stock}"}


def test_a_service_of_ones_own_brings_its_scenario() -> None:
    foreign = ROOT / "tests" / "contract" / "foreign"
    assert request.read(DemoConfig(forms=("baseline",)), service_dir=foreign).scenario.name == "tickets"


def test_requests_without_a_reference_and_a_topology_that_is_not_there_are_told(tmp_path: Path) -> None:
    foreign = ROOT / "tests" / "contract" / "foreign"
    text = (foreign / "scenario.yaml").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(text.replace("type: seat", "type: seats").replace("topology: all", "topology: split"))
    with pytest.raises(ConfigError) as caught:
        request.read(DemoConfig(scenario=str(own), forms=("baseline",)), service_dir=foreign)
    said = f"{caught.value.message}\n{caught.value.detail}"
    assert "request type 'seats' has no tree" in said
    assert "did you mean 'seat'?" in said
    assert "no topology 'split'" in said


def test_a_scenario_file_of_ones_own_with_its_faults(tmp_path: Path) -> None:
    text = (request.scenarios_dir() / "shop.yaml").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(text.replace("name: shop", "name: own"))
    assert request.read(DemoConfig(scenario=str(own))).scenario.name == "own"
    own.write_text(text.replace("warmup_requests:", "warmup_requets:"))
    flags = {"demo.scenario": str(own), "demo.profile": "fast"}
    with pytest.raises(ConfigError) as caught:
        load({}, {}, flags, also=lambda config: request.read(config.demo))
    said = f"{caught.value.message}\n{caught.value.detail}"
    assert "own.yaml:" in said
    assert "did you mean 'warmup_requests'?" in said
    assert "--profile: 'fast' is not one of auto, stage, quick" in said


def test_a_service_of_ones_own_is_read_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="service"):
        request.read(DemoConfig(), service_dir=tmp_path)
    asked = request.read(DemoConfig(), service_dir=resources.root() / "demo" / "service")
    assert asked.service.name == "shop"


@pytest.mark.parametrize(
    ("demo", "emulated", "profile", "rate"),
    [
        (DemoConfig(), True, "stage", "emulated"),
        (DemoConfig(), False, "quick", "native"),
        (DemoConfig(profile="full"), True, "full", "emulated"),
    ],
)
def test_auto_follows_the_machine(demo: DemoConfig, emulated: bool, profile: str, rate: str) -> None:
    asked = request.read(demo)
    wanted = request.resolve(asked, emulated=emulated, facts=MachineFacts(cpus=2))
    assert wanted.profile == profile
    assert wanted.rate_rps == asked.scenario.rate_rps[rate]
    assert wanted.topology == asked.scenario.topology
    assert (wanted.emulated, wanted.cpus) == (emulated, 2)


def test_what_was_asked_for_wins() -> None:
    asked = request.read(DemoConfig(topology="split", rate_rps=3.5))
    wanted = request.resolve(asked, emulated=True, facts=MachineFacts(cpus=2))
    assert (wanted.topology, wanted.rate_rps) == ("split", 3.5)


def test_a_service_without_a_scenario_is_one_complaint_and_not_the_shops(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/contract/foreign", tmp_path / "own")
    (tmp_path / "own/scenario.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        request.read(DemoConfig(forms=("baseline",)), service_dir=tmp_path / "own")
    assert caught.value.message == f"{tmp_path}/own/scenario.yaml is missing: it lists the requests to this service"
    assert f"write {tmp_path}/own/scenario.yaml" in caught.value.fix
    with pytest.raises(ConfigError) as caught:
        request.read(DemoConfig(forms=("ebfp",)), service_dir=tmp_path / "own")
    assert "browse" not in str(caught.value)
    assert "did you mean 'ebpf'?" in str(caught.value)


def test_a_copy_of_the_shop_needs_no_scenario_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "demo/service", tmp_path / "shop")
    assert request.read(DemoConfig(forms=("baseline",)), service_dir=tmp_path / "shop").scenario.name == "shop"


def test_expectations_for_a_form_that_does_not_exist_are_told(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/contract/foreign", tmp_path / "own")
    (tmp_path / "own/expected-spans.yaml").write_text("schema: 1\nforms:\n  ebfp: {}\n")
    with pytest.raises(ConfigError, match="no form 'ebfp'; did you mean 'ebpf'"):
        request.read(DemoConfig(forms=("baseline",)), service_dir=tmp_path / "own")
