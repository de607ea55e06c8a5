"""Strict YAML: everything wrong is told in one pass, with its place and the nearest key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.model.load_config import env_name, keys, load
from lab.model.yamlspec import MAX_DEPTH, parse, problems_error, read


def problems(text: str) -> str:
    section = parse("lab.yaml", text).schema(1).only("schema", "memory_mib", "timeout_s", "name", "forms", "deep")
    section.whole("memory_mib", 1, low=1, high=100_000)
    section.number("timeout_s", 1.0, low=0)
    section.text("name", "x", one_of=("alpha", "beta"))
    section.strs("forms")
    with pytest.raises(ConfigError) as error:
        section.document.finish()
    return error.value.message


def test_all_problems_in_one_pass_with_places() -> None:
    said = problems("schema: 1\nmemroy_mib: 5\nname: alpah\nforms: ebpf\ntimeout_s: fast\n")
    assert "lab.yaml:2:13: memroy_mib: unknown key; did you mean 'memory_mib'?" in said
    assert "lab.yaml:3:7: name: 'alpah' is not one of alpha, beta; did you mean 'alpha'?" in said
    assert "lab.yaml:4:8: forms: a list is expected" in said
    assert "lab.yaml:5:12: timeout_s: a number is expected, not 'fast'" in said
    assert said.startswith("4 problems")


@pytest.mark.parametrize(
    ("line", "hint"),
    [("memory_mib: 2GiB", "write 2048"), ("memory_mib: 512 MB", "write 488.281"), ("timeout_s: 500ms", "write 0.5")],
)
def test_a_wrong_unit_says_what_to_write(line: str, hint: str) -> None:
    assert hint in problems(f"schema: 1\n{line}\n")


def test_a_key_given_twice() -> None:
    assert "name: given twice" in problems("schema: 1\nname: alpha\nname: beta\n")


@pytest.mark.parametrize("value", ["-1", "1e9", ".nan", "1.5"])
def test_numbers_out_of_range(value: str) -> None:
    assert "memory_mib" in problems(f"schema: 1\nmemory_mib: {value}\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",
        "a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "a: [1\n",
        "a: \t- 1\n",
        "x" * (1 << 20) + ": 1\n",
        "!!python/object/apply:os.system ['true']\n: x: y",
    ],
)
def test_hostile_yaml_is_one_clear_error(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse("lab.yaml", text).only("a", "b").document.finish()
    assert "lab.yaml" in error.value.message or "not allowed" in error.value.message
    assert error.value.fix


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "9" * 400])
def test_numbers_are_finite(tmp_path: Path, value: str) -> None:
    (tmp_path / "lab.yaml").write_text(f"schema: 1\nlock_timeout_s: {value}\nmachine: {{cpus: {value}}}\n")
    with pytest.raises(ConfigError) as error:
        load({"project file": tmp_path / "lab.yaml"}, {}, {})
    assert error.value.message.count("out of range") == 2


@pytest.mark.parametrize("name", ["LAB_LOCK_TIMEOUT_S", "LAB_MACHINE_CPUS", "LAB_DEMO_RATE_RPS"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "9" * 5000])
def test_numbers_of_the_environment_are_held_to_the_same(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({}, {name: value}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="not a file"):
            read(path)


def test_a_newer_schema_is_refused() -> None:
    assert "schema: this lab reads schema 1" in problems("schema: 2\n")


def test_every_value_knows_its_source(tmp_path: Path) -> None:
    project = tmp_path / "lab.yaml"
    project.write_text("schema: 1\nmachine: {cpus: 4, memory_mib: 4096}\ndemo: {forms: [baseline, ebpf]}\n")
    loaded = load(
        {"user file": tmp_path / "none.yaml", "project file": project},
        {"LAB_MACHINE_MEMORY_MIB": "3000", "LAB_HOME": "/x", "OTHER": "1"},
        {"demo.seed": 7, "demo.profile": None},
    )
    assert loaded.config.machine.cpus == 4
    assert loaded.config.machine.memory_mib == 3000
    assert loaded.config.demo.forms == ("baseline", "ebpf")
    assert loaded.config.demo.seed == 7
    assert loaded.origin["machine.cpus"] == f"project file {project}"
    assert loaded.origin["machine.memory_mib"] == "environment LAB_MACHINE_MEMORY_MIB"
    assert loaded.origin["demo.seed"] == "flag"
    assert loaded.origin["demo.profile"] == "default"


def test_problems_of_file_and_environment_are_told_together(tmp_path: Path) -> None:
    project = tmp_path / "lab.yaml"
    project.write_text("schema: 1\nmachine: {cpu: 4}\ndmeo: {}\n")
    with pytest.raises(ConfigError) as error:
        load({"project file": project}, {"LAB_MACHINE_CPUS": "many", "LAB_MACHNE_CPUS": "1"}, {})
    for part in (
        "machine.cpu: unknown key; did you mean 'cpus'?",
        "dmeo",
        "LAB_MACHINE_CPUS",
        "LAB_MACHNE_CPUS: unknown",
    ):
        assert part in error.value.message
    assert error.value.exit_code == 3


def test_every_key_has_help_and_a_variable() -> None:
    names = [env_name(path) for path in keys()]
    assert len(set(names)) == len(names) >= 10
    assert all(item.metadata["help"] for _, item in keys().values())


def test_problems_that_were_joined_before_are_told_one_by_one() -> None:
    inner = problems_error(["lab.yaml:3:15: a: wrong", "lab.yaml:4:9: b: wrong"])
    both = problems_error([inner.message, "no form 'x'"])
    assert both.message.split("\n") == [
        "3 problems:",
        "  lab.yaml:3:15: a: wrong",
        "  lab.yaml:4:9: b: wrong",
        "  no form 'x'",
    ]
    assert both.fix == "edit lab.yaml:3:15"
    assert problems_error(["no form 'x'"]).fix == "use the names that there are"
