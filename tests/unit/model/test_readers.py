"""Every shipped service, form and scenario is read without complaint; faulty ones are reported with place and cause."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.model.loading.load_form import load_form
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_reference, load_service
from lab.system import resources
from tests.support import ROOT

DEMO = resources.root() / "demo"


@pytest.mark.parametrize("path", sorted((DEMO / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_scenarios_fit_the_service(path: Path) -> None:
    scenario = load_scenario(path)
    service = load_service(resources.root() / scenario.service)
    assert scenario.name == path.stem
    assert scenario.topology in service.topologies
    assert {request.type for request in scenario.requests} <= set(service.reference)


@pytest.mark.parametrize("folder", sorted(p.parent for p in (DEMO / "forms").glob("*/form.yaml")), ids=lambda p: p.name)
def test_shipped_forms_are_known_on_the_shipped_service(folder: Path) -> None:
    form = load_form(folder)
    assert (form.name in load_service(DEMO / "service").expected) == (form.proof == "some")
    assert (form.proof == "some") == (form.mechanism != "none")


@pytest.mark.parametrize("name", ["=SUM(1,2)", "@x", "a\u202eb", "n" * 65])
def test_a_form_whose_name_cannot_be_in_file_names_and_tables_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(DEMO / "forms/ebpf", folder)
    path = folder / "form.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("name: ebpf", f'name: "{name}"', 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not a file name|is longer than 64"):
        load_form(folder)


def test_name_collision_a_form_cannot_name_what_belongs_to_one_service(tmp_path: Path) -> None:
    shutil.copytree(DEMO / "forms/ebpf", tmp_path / "ebpf")
    path = tmp_path / "ebpf/expected-spans.yaml"
    path.write_text(
        "schema: 1\nrules:\n  - {node: insert-order, expect: none, cause: x}\n  - {request: get, topology: [all]}\n"
        "extra:\n  - {start: true, match: DROP}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_form(tmp_path / "ebpf")
    for place in (":3:12:", ":4:15:", ":4:30:", ":6:13:"):
        assert f"{path}{place}" in str(caught.value), caught.value
    assert "beside that service" in str(caught.value)


def test_what_is_known_of_a_form_lies_beside_a_service_and_names_its_own_spans(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/contract/foreign", tmp_path / "own")
    path = tmp_path / "own/expected-spans.yaml"
    head = "schema: 1\nforms:\n  ebpf:\n    rules:\n"
    path.write_text(head + "      - {node: count, expect: none, cause: seen}\n  orchestrion-otel: {}\n")
    own = load_service(tmp_path / "own").expected
    assert [(rule.node, rule.mode) for rule in own["ebpf"].rules] == [("count", "none")]
    assert own["orchestrion-otel"].rules == ()
    path.write_text(head + "      - {request: saet, cause: x}\n      - {node: counts, cause: x}\n")
    with pytest.raises(ConfigError) as caught:
        load_service(tmp_path / "own")
    assert "'saet' is not a request type of the reference; did you mean 'seat'?" in str(caught.value)
    assert "'counts' is not a span of the reference; did you mean 'count'?" in str(caught.value)


def test_reference_parents_must_come_first(tmp_path: Path) -> None:
    path = tmp_path / "reference-spans.yaml"
    path.write_text(
        "schema: 1\nrequests:\n  get:\n    - {id: a, kind: server, family: http, match: GET /}\n"
        "    - {id: b, parent: c, kind: clinet, family: htp, match: x}\n"
    )
    with pytest.raises(ConfigError) as error:
        load_reference(path)
    assert "'c' is not the id of an earlier span of get" in error.value.message
    assert "did you mean 'client'" in error.value.message
    assert "did you mean 'http'" in error.value.message


def test_a_form_that_hides_spans_must_say_why(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "form.yaml").write_text("schema: 1\nname: other\ntitle: t\nmechanism: none\n")
    (folder / "expected-spans.yaml").write_text("schema: 1\nrules:\n  - {request: get, expect: none}\n")
    with pytest.raises(ConfigError, match="cause: is required"):
        load_form(folder)
    (folder / "expected-spans.yaml").write_text("schema: 1\n")
    with pytest.raises(ConfigError) as error:
        load_form(folder)
    assert "must be the name of the folder, 'mine'" in error.value.message
    assert "build: is required" in error.value.message


def test_scenario_problems_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "schema: 1\nname: s\ntitle: t\nrequests:\n  - {type: a, path: /, weight: heavy, params: {x: {float: [1, 2]}}}\n"
        "  - {type: b, path: /, status: [ok]}\nrate_rps: {emulated: 0}\narivals: poisson\n"
    )
    with pytest.raises(ConfigError) as error:
        load_scenario(path)
    for part in (
        "weight",
        "params.x",
        "status",
        "rate_rps.native: is required",
        "out of range",
        "did you mean 'arrivals'",
    ):
        assert part in error.value.message


def test_what_the_load_generator_would_refuse_is_told_before_a_machine_is_made(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "schema: 1\nname: s\ntitle: t\nrate_rps: {emulated: 1, native: 1}\nrequests:\n"
        '  - {type: a, path: "/seats/{id}", params: {id: {int: [9, 1]}, no: {choice: [x]}}}\n'
        '  - {type: a, path: "seats/{who}", method: get}\n'
        '  - {type: "b,c", path: "/{n}", params: {n: {choice: [1, 2]}}}\n'
    )
    with pytest.raises(ConfigError) as error:
        load_scenario(path)
    for part in (
        "s.yaml:6:49: requests[0].params.id: use {int: [first, last]}, first not above last",
        "{no} is in neither path nor body",
        "'seats/{who}' does not start with /",
        "{who} is not in params",
        "'get' is not an upper-case HTTP method",
        "'b,c' contains ','",
        "requests[2].params.n: use",
        "requests: duplicate type 'a'",
    ):
        assert part in error.value.message


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("main: .", "main: -toolexec=/bin/sh"),
        ("main: .", "main: . -x"),
        ("build_id_var: main.buildID", "build_id_var: main.a=1 -linkmode=external -extld=/bin/sh"),
        ("build_id_var: main.buildID", "build_id_var: buildID"),
    ],
)
def test_a_service_adds_no_options_to_the_build(tmp_path: Path, line: str, wrong: str) -> None:
    shutil.copy(DEMO / "service" / "reference-spans.yaml", tmp_path)
    text = (DEMO / "service" / "service.yaml").read_text()
    assert line in text
    (tmp_path / "service.yaml").write_text(text.replace(line, wrong))
    with pytest.raises(ConfigError, match=r"is not (a Go package|PACKAGE\.VARIABLE)"):
        load_service(tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "status: [\u00b2]",
        f"status: [{'9' * 5000}]",
        "status: [99999]",
        "weight: inf",
        "params: {a: {int: !!int x}}",
        "params: {a: {int: [!!python/object:os.system 1, 2]}}",
        "params: {a: {choice: [2024-13-45]}}",
        f"params: {{a: {{int: [1, {'9' * 5000}]}}}}",
        "params: {a: {int: [1, 9223372036854775808]}}",
        "params: {a: {[b]: 3}}",
        "params: {a: !!binary x}",
        'headers: {"A\\r\\nB": c}',
        'headers: {A: "b\\nc"}',
        'body: "{b}\\0"',
    ],
)
def test_odd_values_of_a_request_are_told_with_their_place(tmp_path: Path, more: str) -> None:
    path = tmp_path / "s.yaml"
    head = "schema: 1\nname: s\ntitle: t\nrate_rps: {emulated: 1, native: 1}\n"
    path.write_text(f"{head}requests:\n  - {{type: get, path: '/{{a}}', {more}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"s\.yaml:6:\d+"):
        load_scenario(path)
