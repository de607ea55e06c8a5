"""What is derived from the keys of the config: the sample and the schema in docs/reference, flags, the loader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import typer.main

from lab.cli.app import build
from lab.model import config, describe
from lab.model.errors import ConfigError
from lab.model.key import Key, key, walk
from lab.model.loading.load_config import env_name, load
from lab.model.machine import MachineConfig
from tests.support import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_the_sample_is_the_generated_one() -> None:
    assert (REFERENCE / "lab.yaml").read_text(encoding="utf-8") == f"{describe.sample()}\n", (
        "write it: ./labw config --sample > docs/reference/lab.yaml"
    )


def test_the_schema_is_the_generated_one() -> None:
    assert json.loads((REFERENCE / "lab.schema.json").read_text(encoding="utf-8")) == describe.json_schema(), (
        "write it: ./labw config --schema > docs/reference/lab.schema.json"
    )


@pytest.mark.parametrize("one", config.keys().values(), ids=lambda one: one.path)
def test_a_key_is_everywhere_that_it_must_be(one: Key, tmp_path: Path) -> None:
    """One field of the dataclass gives all of these."""
    schema = describe.json_schema()["properties"]
    place = schema[one.section]["properties"] if one.section else schema
    assert (place[one.name]["description"], place[one.name]["default"]) == (one.help, _plain(one.default))
    assert f"# {one.name}: {describe.shown(_plain(one.default))}  # {one.help}\n" in f"{describe.sample()}\n"
    file = tmp_path / "lab.yaml"
    text = f"{one.name}: {json.dumps(_plain(one.default))}\n"
    file.write_text(f"schema: 1\n{one.section}:\n  {text}" if one.section else f"schema: 1\n{text}")
    loaded = load({"project file": file}, {}, {})
    assert loaded.origin[one.path] == f"project file {file}"
    assert describe.values(loaded.config)[one.path] == _plain(one.default)
    shown = ",".join(one.default) if one.kind is tuple else describe.shown(one.default).strip('"')
    assert load({}, {env_name(one.path): shown}, {}).origin[one.path] == f"environment {env_name(one.path)}"
    demo = typer.main.get_command(build(["demo", "--help"])).commands["demo"]  # type: ignore[attr-defined]  # a group
    options = {word: option for option in demo.params for word in option.opts}
    if one.flag and one.path != "demo.scenario":  # an argument there
        assert options[one.flag.partition("/")[0]].help.startswith(f"{one.help}.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class OneMore(MachineConfig):
    pace: Literal["auto", "real", "counted"] = key("auto", "Pace of the machine")
    stop_after_s: float = key(5.0, "When it is ended", high=60)


def test_a_new_key_is_one_field() -> None:
    *_, pace, stop = walk(OneMore, "machine.")
    assert (pace.path, pace.flag, pace.choices) == ("machine.pace", "--pace", ("auto", "real", "counted"))
    assert pace.help == "Pace of the machine (auto, real, counted)"
    assert (stop.flag, stop.help, stop.high) == ("--stop-after", "When it is ended, seconds", 60)


@pytest.mark.parametrize(
    ("key_", "value", "fault"),
    [
        ("accel", "kmv", "'kmv' is not one of auto, kvm, hvf, whpx, tcg; did you mean 'kvm'?"),
        ("arch", "x86-64", "'x86-64' is not one of auto, x86_64, aarch64; did you mean 'x86_64'?"),
        ("cpus", "65", "65 is out of range (at least 1 and at most 64)"),
        ("memory_mib", "64", "64 is out of range (at least 512)"),
    ],
)
def test_what_is_not_allowed_is_refused_wherever_it_is_given(key_: str, value: str, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(f"schema: 1\nmachine:\n  {key_}: {value}\n")
    with pytest.raises(ConfigError) as caught:
        load({"project file": file}, {env_name(f"machine.{key_}"): value}, {f"machine.{key_}": value})
    lines = [line.strip() for line in caught.value.message.splitlines()[1:]]
    assert lines == [
        f"{file}:3:{len(key_) + 5}: machine.{key_}: {fault}",
        f"environment {env_name(f'machine.{key_}')}: {fault}",
        f"{config.keys()[f'machine.{key_}'].flag}: {fault}",
    ]
