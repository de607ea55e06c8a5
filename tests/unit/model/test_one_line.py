"""One mistake is one line at its place, every independent mistake is reported in one pass, over all files of a service.

Siblings of the case yaml-told-many-times.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.flows import request
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from tests.support import ROOT

S, C, R, E = "service.yaml", "scenario.yaml", "reference-spans.yaml", "expected-spans.yaml"
READY, RATES, ARGV = (
    "ready: {port: front, path: /ready}",
    "rate_rps: {emulated: 5, native: 50}",
    'argv: ["--front=127.0.0.1:{port:front}"]',
)
Edit = tuple[str, str, str]  # file, what is in it ("": all of it), what is there instead


def told(folder: Path, edits: list[Edit]) -> list[str]:
    """The lines of the error that these edits of a whole service give, without the folder."""
    shutil.copytree(ROOT / "tests/contract/foreign", folder / "own")
    for name, old, new in edits:
        path = folder / "own" / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        assert old in text
        path.write_text(text.replace(old, new) if old else new, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        request.read(DemoConfig(forms=("baseline",)), service_dir=folder / "own")
    lines = [line.strip().replace(f"{folder}/own/", "") for line in caught.value.message.splitlines()]
    assert caught.value.fix.startswith(f"edit {folder}/own/")
    return [line for line in lines if not line.endswith(" problems:")]


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        ((C, f"{RATES}\n", ""), "scenario.yaml:1:1: rate_rps: is required"),
        ((C, RATES, "rate_rps: 5"), "scenario.yaml:8:11: rate_rps: a mapping is expected"),
        ((C, RATES, RATES[:-1] + ", foo: bar}"), "scenario.yaml:8:42: rate_rps.foo: unknown key"),
        ((C, "weight: 1", "status: 200"), "scenario.yaml:7:26: requests[0].status: a list is expected"),
        ((C, "weight: 1", "status: [[1]]"), "scenario.yaml:7:27: requests[0].status[0]: one value is expected"),
        ((C, "params: {id: {int: [1, 9]}}", "params: 5"), "requests[0].params: a mapping is expected"),
        ((C, 'path: "/seats/{id}", ', ""), "scenario.yaml:7:5: requests[0].path: is required"),
        ((C, "type: seat, ", ""), "scenario.yaml:7:5: requests[0].type: is required"),
        ((C, "requests:\n  - {", "requests:\n  x: {"), "scenario.yaml:7:3: requests: a list is expected"),
        ((C, "requests:\n", "requets:\n"), "requets: unknown key; did you mean 'requests'?"),
        ((C, "requests:\n", "requests:\n  - 5\n"), "scenario.yaml:7:5: requests[0]: a mapping is expected"),
        ((C, "", "- a\n"), "scenario.yaml:1:1: a mapping is expected"),
        ((C, "", "\n"), "scenario.yaml:1:1: is empty; required: name, title, requests, rate_rps"),
        ((C, "type: seat", "type: seats"), "scenario.yaml:7:12: requests[0].type: request type 'seats' has no tree in"),
        (
            (C, "topology: all", "topology: al"),
            "scenario.yaml:5:11: topology: tickets has no topology 'al'; did you mean",
        ),
        ((S, f"{READY}\n", ""), "service.yaml:1:1: ready: is required"),
        ((S, READY, "ready: front"), "service.yaml:6:8: ready: a mapping is expected"),
        ((S, READY, "ready:"), "service.yaml:6:7: ready: is required"),
        ((S, "ready: {port", "ready: {prt"), "service.yaml:6:14: ready.prt: unknown key; did you mean 'port'?"),
        ((S, "ready:", "redy:"), "service.yaml:6:7: redy: unknown key; did you mean 'ready'?"),
        ((S, "/ready}", "/ready, status: 200}"), "service.yaml:6:44: ready.status: a list is expected"),
        ((S, "[front, stock]", "front"), "service.yaml:4:8: ports: a list is expected"),
        ((S, "[front, stock]", "[]"), "service.yaml:4:8: ports: at least one port is required"),
        ((S, "[front, stock]", "[[1]]"), "service.yaml:4:9: ports[0]: one value is expected"),
        ((S, "ports: [front, stock]\n", ""), "service.yaml:1:1: ports: is required"),
        ((S, "ports:", "prots:"), "service.yaml:4:8: prots: unknown key; did you mean 'ports'?"),
        ((S, ARGV, 'argv: "--front={port:front}"'), "topologies.all[0].argv: a list is expected"),
        ((S, 'env: {STOCK: "127.0.0.1:{port:stock}"}', "env: [a]"), "topologies.all[0].env: a mapping is expected"),
        (
            (S, "topologies:\n  all:\n", "topologies:\n  - all:\n"),
            "service.yaml:8:3: topologies: a mapping is expected",
        ),
        ((S, "", "just text\n"), "service.yaml:1:1: a mapping is expected"),
        ((R, "  seat:\n", "  seat: 5\n  more:\n"), "reference-spans.yaml:3:9: requests.seat: a list is expected"),
        ((R, "requests:", "request:"), "request: unknown key; did you mean 'requests'?"),
        ((R, "id: call-stock, ", ""), "reference-spans.yaml:5:7: requests.seat[1].id: is required"),
        ((R, "", "a: ["), "reference-spans.yaml:1:5: not valid YAML"),
        ((E, "", "schema: 1\nforms: [ebpf]\n"), "expected-spans.yaml:2:8: forms: a mapping is expected"),
        (
            (E, "", "schema: 1\nforms: {ebfp: {}}\n"),
            "expected-spans.yaml:2:15: forms.ebfp: no form 'ebfp'; did you mean",
        ),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, edit: Edit, line: str) -> None:
    lines = told(tmp_path, [edit])
    assert len(lines) == 1, lines
    assert line in lines[0]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("rules: [{family: htp}]", ".rules[0].family: 'htp' is not one of http,"),
        ("rules: [{kind: sever}]", ".rules[0].kind: 'sever' is not one of server,"),
        ("rules: [{topology: [al]}]", ".rules[0].topology: 'al' is not a topology of the service; did you mean 'all'?"),
        ("rules: [{expect: {min_ratio: 2, max_ratio: 1}, cause: x}]", ".expect: min_ratio 2 is above max_ratio 1"),
        ("rules: [{expect: {first: -1}, cause: x}]", ".expect.first: -1 is out of range (at least 0)"),
        ("rules: [{expect: {first: 1, min_ratio: 0}, cause: x}]", ".expect: either `first`, or"),
        ("rules: [{expect: {}, cause: x}]", ".expect: `first`, or `min_ratio` and `max_ratio`, is required"),
        (
            "rules: [{parent: {node: fron}}]",
            ".parent.node: 'fron' is not a span of the reference; did you mean 'front'?",
        ),
        ("rules: [{when: {arch: [arm]}}]", ".when.arch: 'arm' is not one of x86_64, aarch64"),
        ("rules: [{when: {lockdown: [on]}}]", ".when.lockdown: 'on' is not one of none,"),
        ("extra: [{request: saet}]", ".extra[0].request: 'saet' is not a request type of the reference"),
        ("extra: [{family: x}]", ".extra[0].family: 'x' is not one of http,"),
        ("extra: [{kind: x}]", ".extra[0].kind: 'x' is not one of server,"),
        ("extra: [{per_request: -1}]", ".extra[0].per_request: -1 is out of range"),
    ],
)
def test_values_of_expected_spans(tmp_path: Path, rule: str, line: str) -> None:
    lines = told(tmp_path, [(E, "", f"schema: 1\nforms:\n  ebpf:\n    {rule}\n")])
    assert len(lines) == 1, lines
    assert lines[0].startswith("expected-spans.yaml:4:")
    assert line in lines[0]


@pytest.mark.parametrize("scenario", ["- a\n", "a: [\n", "schema: 2\n", "\n"])
def test_a_faulty_scenario_hides_no_mistake_of_the_service(tmp_path: Path, scenario: str) -> None:
    lines = told(tmp_path, [(C, "", scenario), (S, "target: front", "target: frnt")])
    assert any(line.startswith("scenario.yaml:") for line in lines)
    assert sum(line.startswith("service.yaml:5:9: target: 'frnt' is not one of ports") for line in lines) == 1


def test_independent_mistakes_of_all_files_are_told_in_one_pass(tmp_path: Path) -> None:
    edits = [
        (C, "type: seat", "type: seats"),
        (C, "weight: 1", "weight: x"),
        (C, "topology: all", "topology: al"),
        (S, "target: front", "target: frnt"),
        (S, 'env: {STOCK: "', 'env: {STOCK: "{port:stok}'),
        (R, 'kind: server, family: http, match: "GET /left"', 'kind: sever, family: http, match: "GET /left"'),
        (E, "", "schema: 1\nforms: {ebpf: {rules: [{node: cuont}, 5]}}\n"),
    ]
    lines = told(tmp_path, edits)
    wanted: tuple[str, ...] = (
        ":7:12: requests[0].type",
        ":7:27: requests[0].weight",
        ":5:11: topology",
        ":5:9: target",
    )
    wanted += ("topologies.all[0].env", "requests.seat[2].kind", "rules[0].node", "rules[1]: a mapping")
    for part in wanted:
        assert sum(part in line for line in lines) == 1, (part, lines)
    assert len(lines) == len(wanted)


def test_names_in_a_scenario_are_told_with_their_place(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/contract/foreign", tmp_path / "own")
    path = tmp_path / "own/scenario.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("service: .", "service: nowhere") + "forms: [baseline, ebfp]\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        request.read(DemoConfig(scenario=str(path)), forms_given=False)
    lines = [line.strip() for line in caught.value.message.splitlines()]
    assert lines[0] == "2 problems:"
    assert lines[1].startswith(f"{path}:9:19: forms[1]: no form 'ebfp'; did you mean 'ebpf'?")
    assert lines[2].startswith(f"{path}:4:10: service: no folder 'nowhere'")
