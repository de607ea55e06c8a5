"""Strict YAML: everything wrong is reported in one pass, with its place and the nearest key.

Cases: foreign-lab-variables, yaml-told-many-times.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.model.config import keys
from lab.model.errors import ConfigError
from lab.model.loading.load_config import env_name, load
from lab.model.loading.yamlspec import parse, read
from lab.model.loading.yamltext import MAX_DEPTH
from lab.model.problems import problems_error


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
    assert "name: duplicate key" in problems("schema: 1\nname: alpha\nname: beta\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("machine:\n  cpus: 2\n  cpus: 4\n", ["lab.yaml:3:3: machine.cpus: duplicate key"]),
        ("demo:\n  seed: 2\n  seed: 4\n  seed: 8\n", [f"lab.yaml:{n}:3: demo.seed: duplicate key" for n in (3, 4)]),
        (
            "demo: {}\ndemo: {seed: 1, seed: 2}\n",
            ["lab.yaml:2:1: demo: duplicate key", "lab.yaml:2:17: demo.seed: duplicate key"],
        ),
        ("machine: 5\n", ["lab.yaml:1:10: machine: a mapping is expected"]),
        (
            "dmeo: {a: {b: 1, b: 2}}\n",
            ["lab.yaml:1:18: dmeo.a.b: duplicate key", "dmeo: unknown key; did you mean 'demo'?"],
        ),
    ],
)
def test_yaml_told_many_times(tmp_path: Path, text: str, told: list[str]) -> None:
    """One fault is one line, wherever it is and however often its section is read."""
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load({"user file": path, "project file": path}, {}, {})
    lines = [line.strip() for line in error.value.message.splitlines() if not line.endswith(" problems:")]
    assert len(lines) == len(told), lines
    for part in told:
        assert sum(line.endswith(part) for line in lines) == 1, (part, lines)


def test_a_key_is_one_value() -> None:
    assert "a key must be one value" in problems("schema: 1\n? [a]\n: 1\n? [b]\n: 2\n")


def test_foreign_lab_variables() -> None:
    """Other programs are called `lab` too; ours are the families and a slip of the pen."""
    foreign = {"LAB_CORE_TOKEN": "x", "LAB_CORE_HOST": "y", "LAB_ENV": "prod", "LAB_USER": "z", "LAB_MACHINES": "3"}
    assert load({}, {**foreign, "LAB_MACHINE_CPUS": "3"}, {}).config.machine.cpus == 3
    for name, meant in (
        ("LAB_MACHINE_CPU", "LAB_MACHINE_CPUS"),
        ("LAB_DEMO_RATE", "LAB_DEMO_RATE_RPS"),
        ("LAB_MACHNE_CPUS", "LAB_MACHINE_CPUS"),
        ("LAB_LOCK_TIMEOUTS", "LAB_LOCK_TIMEOUT_S"),
    ):
        with pytest.raises(ConfigError) as error:
            load({}, {**foreign, name: "1"}, {})
        assert error.value.message == f"environment {name}: unknown; did you mean {meant!r}?"


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
        with pytest.raises(ConfigError, match="not a regular file"):
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
    assert all(one.help for one in keys().values())


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
    assert problems_error(["no form 'x'"]).fix == "use a known name"
