"""Names in a person's files that become file names, variables or parts of a request: checked before anything is built.

Cases: slash-in-type, process-name-leaves-folder, path-with-a-space, fixed-port, config-file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_service

SERVICE = """\
schema: 1
name: pinned
ports: [http]
target: http
ready: {port: http, path: /hi}
topologies:
  all:
    - {name: pinned, argv: [], env: {PORT: "{port:http}"}}
"""
REFERENCE = 'schema: 1\nrequests:\n  hi:\n    - {id: front, kind: server, family: http, match: "GET /hi"}\n'
SCENARIO = """\
schema: 1
name: hi
title: Hi
service: .
requests:
  - {type: hi, path: /hi}
rate_rps: {emulated: 3, native: 20}
"""


def service(folder: Path, old: str = "", new: str = "") -> str:
    """What is wrong with the service after one replacement."""
    assert old in SERVICE
    (folder / "service.yaml").write_text(SERVICE.replace(old, new, 1) if old else SERVICE, encoding="utf-8")
    (folder / "reference-spans.yaml").write_text(REFERENCE)
    with pytest.raises(ConfigError) as error:
        load_service(folder)
    return str(error.value.message)


def scenario(folder: Path, old: str, new: str) -> str:
    assert old in SCENARIO
    (folder / "scenario.yaml").write_text(SCENARIO.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_scenario(folder / "scenario.yaml")
    return str(error.value.message)


@pytest.mark.parametrize(
    "name", ["../../evil name", "a/b", "a\\b", "..", ".hidden", "-rf", "con", "NUL.txt", "é", "x" * 65, "a\tb", "end."]
)
def test_process_name_leaves_folder(tmp_path: Path, name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace("\t", "\\t")
    message = service(tmp_path, "{name: pinned,", f'{{name: "{quoted}",')
    assert "service.yaml:8:14: topologies.all[0].name: " in message


@pytest.mark.parametrize("name", ["front door", "api-v2.1", "Front_1"])
def test_ordinary_process_names_are_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE.replace("{name: pinned,", f"{{name: {name},"))
    (tmp_path / "reference-spans.yaml").write_text(REFERENCE)
    assert load_service(tmp_path).topologies["all"][0].name == name


@pytest.mark.parametrize("name", ["GET /hi", "a\\\\b", "..", "a,b", "a|b", " hi", "a\\nb", "a\\u202eb", "x" * 65])
def test_slash_in_type(tmp_path: Path, name: str) -> None:
    message = scenario(tmp_path, "type: hi", f'type: "{name}"')
    assert "scenario.yaml:6:12: requests[0].type: " in message


@pytest.mark.parametrize("name", ["get hi", "浏览", "größe", "checkout (slow)"])
def test_types_in_any_alphabet_are_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO.replace("type: hi", f'type: "{name}"'), encoding="utf-8")
    assert load_scenario(tmp_path / "scenario.yaml").requests[0].type == name


@pytest.mark.parametrize("name", ["../../x", "a/b", "-x", "nul"])
def test_a_scenario_names_its_run_folder(tmp_path: Path, name: str) -> None:
    assert "scenario.yaml:2:7: name: " in scenario(tmp_path, "name: hi", f'name: "{name}"')


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/hello?q=a b", "write %20"),
        ("/a\\tb", "control character"),
        ("/a\\u00a0b", "write %20 for a space"),
        ("/50%", "write %25"),
        ("/a%zz", "write %25"),
        ("/a#top", "write %23"),
        ("//host/x", "names a host"),
        ("hello", "does not start with /"),
        ("http://127.0.0.1/x", "does not start with /"),
    ],
)
def test_path_with_a_space(tmp_path: Path, path: str, advice: str) -> None:
    message = scenario(tmp_path, "path: /hi", f'path: "{path}"')
    assert "scenario.yaml:6:22: requests[0].path: " in message
    assert advice in message


def test_the_ready_path_is_held_to_the_same(tmp_path: Path) -> None:
    message = service(tmp_path, "path: /hi", 'path: "/a b"')
    assert "service.yaml:5:27: ready.path: " in message
    assert "write %20" in message


@pytest.mark.parametrize(
    "more",
    [
        'method: "GET /"',
        "method: CONNECT",
        "headers: {Host: elsewhere}",
        "headers: {Content-Length: 5}",
        "status: []",
        "weight: 0",
        "timeout_s: 3601",
    ],
)
def test_what_lab_load_would_refuse_or_ignore(tmp_path: Path, more: str) -> None:
    assert "scenario.yaml:6:" in scenario(tmp_path, "path: /hi}", f"path: /hi, {more}}}")


@pytest.mark.parametrize(
    ("argv", "env", "fault"),
    [
        ("[]", "{}", "no process gets port http: {port:http} is in no argv, env or files"),
        ('["--p={port:htp}"]', '{P: "{port:http}"}', "'htp' is not one of ports; did you mean 'http'?"),
        ('["a\\0b"]', '{P: "{port:http}"}', "a NUL character"),
        ("[]", '{"A=B": "{port:http}"}', "'A=B' is not a variable name"),
    ],
)
def test_fixed_port_is_refused_before_the_build(tmp_path: Path, argv: str, env: str, fault: str) -> None:
    message = service(tmp_path, 'argv: [], env: {PORT: "{port:http}"}', f"argv: {argv}, env: {env}")
    assert "service.yaml:" in message
    assert fault in message


def test_config_file_can_carry_the_port(tmp_path: Path) -> None:
    text = SERVICE.replace('env: {PORT: "{port:http}"}', 'files: {conf/app.yaml: "port: {port:http}"}')
    (tmp_path / "service.yaml").write_text(text)
    (tmp_path / "reference-spans.yaml").write_text(REFERENCE)
    assert load_service(tmp_path).topologies["all"][0].files == {"conf/app.yaml": "port: {port:http}"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a\\\\b", ""])
def test_config_file_stays_in_the_work_folder(tmp_path: Path, name: str) -> None:
    new = f'files: {{"{name}": "port: {{port:http}}"}}'
    assert "is not a path below the work folder" in service(tmp_path, 'env: {PORT: "{port:http}"}', new)


def test_two_processes_of_one_name_or_file(tmp_path: Path) -> None:
    row = '    - {name: pinned, argv: [], env: {PORT: "{port:http}"}}\n'
    twice = row.replace("argv: []", "files: {a.yaml: x}") * 2
    message = service(tmp_path, row, twice)
    assert "two processes have the name 'pinned'" in message
    assert "two processes have the file 'a.yaml'" in message


def test_without_a_path_nothing_can_be_asked_of_the_answer(tmp_path: Path) -> None:
    message = service(tmp_path, "path: /hi}", "status: [204]}\nheaders: {build: X-Build}")
    assert "ready.status: requires ready.path" in message
    assert "headers.build: requires ready.path" in message


def test_problems_of_both_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE.replace("target: http", "target: htp"))
    (tmp_path / "reference-spans.yaml").write_text(REFERENCE.replace("kind: server", "kind: serve"))
    with pytest.raises(ConfigError) as error:
        load_service(tmp_path)
    assert "service.yaml:4:9" in error.value.message
    assert "reference-spans.yaml:4:" in error.value.message


def test_half_a_character_is_named_with_its_place(tmp_path: Path) -> None:
    assert "service.yaml:8:44" in service(tmp_path, '"{port:http}"', '"\\ud800{port:http}"')
    assert "scenario.yaml:3:8: title: contains a lone surrogate" in scenario(tmp_path, "title: Hi", 'title: "\\udc80"')


def test_a_pattern_is_no_main_package(tmp_path: Path) -> None:
    assert "main: one package is expected" in service(tmp_path, "ports: [http]", "main: ./cmd/...\nports: [http]")


@pytest.mark.parametrize("name", ["none", "service.yaml"])
def test_a_service_that_is_no_folder_is_one_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE)
    with pytest.raises(ConfigError, match="is not a folder") as error:
        load_service(tmp_path / name)
    assert "\n" not in error.value.message
    assert "--service" in error.value.fix


def test_a_count_whose_ends_are_swapped(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE)
    (tmp_path / "reference-spans.yaml").write_text(
        REFERENCE.replace("kind: server", "count: {min: 5, max: 2}, kind: server")
    )
    with pytest.raises(ConfigError, match="min 5 is above max 2"):
        load_service(tmp_path)


def test_an_alias_is_named_with_line_and_column(tmp_path: Path) -> None:
    message = service(tmp_path, "ports: [http]", "ports: &p [http]\nheaders: *p")
    assert "service.yaml:4:10: YAML aliases" in message
