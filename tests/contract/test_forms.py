"""Every form of demo/forms is built, started and proven on this host: the spans it must show, or none at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import forms
from lab.forms import cache, cache_keys
from lab.guest.wire import Canary
from lab.model.errors import DemoError
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.machine import Arch
from tests.contract.proving import plan_for, prove
from tests.support import ROOT, lab_at, pinned_go, test_home

pytestmark = [pytest.mark.forms, pytest.mark.timeout(1800), pytest.mark.usefixtures("kernel_fs")]

CATALOG = forms.catalog(ROOT)
ARCH: Arch = "aarch64" if os.uname().machine == "aarch64" else "x86_64"
TOPOLOGIES = ("all", "split")
FOREIGN = ROOT / "tests/contract/foreign"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return lab_at(test_home())


@pytest.fixture(scope="module")
def artifacts(lab: Lab) -> dict[str, Artifact]:
    """Every form's binary and every helper."""
    return forms.build(lab, tuple(CATALOG.values()), forms.service(ROOT), arch=ARCH)


@pytest.fixture(scope="module", params=TOPOLOGIES)
def canaries(
    request: pytest.FixtureRequest,
    lab: Lab,
    artifacts: dict[str, Artifact],
    tmp_path_factory: pytest.TempPathFactory,
    kernel_fs: None,
) -> dict[str, Canary]:
    """One life of each form, every request type once."""
    assert os.geteuid() == 0, "the agent of the run-time forms needs root, as it does in a machine"
    plan, tree = plan_for(lab, tuple(CATALOG.values()), forms.service(ROOT), artifacts, request.param)
    return prove(plan, tree, tmp_path_factory.mktemp(request.param))


def test_what_each_binary_was_made_from(artifacts: dict[str, Artifact]) -> None:
    """By the binaries themselves: the weaver's modules and the files it wrote into; the eBPF form's is the baseline."""
    plain, woven = artifacts["baseline"], artifacts["orchestrion-otel"]
    assert plain.modules is not None
    assert woven.modules is not None
    assert "google.golang.org/grpc" in plain.modules
    assert not [name for name in plain.modules if "opentelemetry" in name or "DataDog" in name]
    assert {"go.opentelemetry.io/otel/sdk", "lab.example/otelboot"} <= set(woven.modules) - set(plain.modules)
    assert plain.woven_files == ()
    assert {"net/http/server.go", "shop.example/shop/main.go"} <= set(woven.woven_files or ())
    assert artifacts["ebpf"].sha256 == plain.sha256


@pytest.mark.parametrize(
    ("name", "module", "file"),
    [
        ("orchestrion-otel", "github.com/DataDog/orchestrion", "orchestrion/go.mod"),
        ("orchestrion-dd", "github.com/DataDog/orchestrion", "orchestrion/go.mod"),
        ("agent", "go.opentelemetry.io/auto", "agent/go.mod"),
    ],
)
def test_what_instruments_is_known_by_its_version(
    artifacts: dict[str, Artifact], name: str, module: str, file: str
) -> None:
    """A weaver is in no binary, and an agent's program is ours: both versions are the build's."""
    wanted = re.search(rf"{re.escape(module)} (v\S+)", (ROOT / "demo" / file).read_text(encoding="utf-8"))
    assert wanted is not None
    assert artifacts[name].made_by == {module: wanted[1]}
    assert artifacts["baseline"].made_by == {}


def test_what_a_demo_takes_from_the_cache_is_known_without_building(lab: Lab, artifacts: dict[str, Artifact]) -> None:
    """What CI keeps between machines by `lab cache keys` is what the build looks for."""
    known = cache_keys.keys(lab, tuple(CATALOG.values()), forms.service(ROOT), ARCH)
    assert {artifact.key for artifact in artifacts.values()} <= set(known.values())
    assert all(cache.folder(lab, key).is_dir() for key in known.values())
    assert "tool orchestrion" in known
    plain = cache_keys.keys(lab, (CATALOG["baseline"],), forms.service(ROOT), ARCH)
    assert sorted(plain) == ["form baseline", "helper load", "helper sink"]


@pytest.mark.parametrize("name", list(CATALOG))
def test_proof(canaries: dict[str, Canary], name: str) -> None:
    assert canaries[name].ok, canaries[name].reason
    answered = {r.type: r.status for r in canaries[name].requests}
    assert answered["checkout"] == 201
    assert all(r.unexpected == 0 for r in canaries[name].requests), [
        (r.type, [(s.kind, s.name) for s in r.spans]) for r in canaries[name].requests if r.unexpected
    ]


@pytest.mark.parametrize("name", [name for name, form in CATALOG.items() if form.proof == "none"])
def test_forms_without_spans_give_none(canaries: dict[str, Canary], name: str) -> None:
    assert [span for request in canaries[name].requests for span in request.spans] == []


@pytest.mark.parametrize("name", [name for name, form in CATALOG.items() if form.mechanism == "compile-time"])
def test_compile_time_forms_give_the_whole_reference_tree(canaries: dict[str, Canary], name: str) -> None:
    """By the reference itself, whatever the form's own expectation says."""
    reference = forms.service(ROOT).reference
    for request in canaries[name].requests:
        assert request.seen == {node.id: node.count_min for node in reference[request.type]}, request.type
        assert request.wrong_parent == ()
        # not of the request: the pool's new connection (a root of its own), and being asked "ready?" just before it
        spans = [s for s in request.spans if (s.parent_id or s.kind == "server") and not s.name.endswith("/readyz")]
        traces = {span.trace_id for span in spans}
        told = [(span.kind, span.name, span.trace_id[-6:], bool(span.parent_id)) for span in request.spans]
        assert len(traces) == 1, f"{request.type} fell into {len(traces)} traces: {told}"


def test_forms_that_share_a_binary_share_its_digest(artifacts: dict[str, Artifact]) -> None:
    assert len({artifacts[name].sha256 for name in ("baseline", "twin", "delay-cpu", "delay-wait", "ebpf")}) == 1
    different = {artifacts[name].sha256 for name in ("baseline", "orchestrion-otel", "orchestrion-dd")}
    assert len(different) == 3


def test_pins_are_in_every_binary(artifacts: dict[str, Artifact]) -> None:
    """The Go, grpc and x/net that make forms comparable, read from the binaries themselves."""
    go = pinned_go().go
    for name in ("baseline", "orchestrion-otel", "orchestrion-dd"):
        told = subprocess.run([go, "version", "-m", artifacts[name].path], capture_output=True, text=True, check=True)
        assert ": go1.26.1" in told.stdout
        for module, version in (("google.golang.org/grpc", "v1.80.0"), ("golang.org/x/net", "v0.53.0")):
            used = re.findall(rf"\t{re.escape(module)}\t(v\S+)", told.stdout)  # the replaced one is named after it
            assert used[-1:] == [version], (name, module, used)


def test_warm_build_builds_nothing(lab: Lab, artifacts: dict[str, Artifact]) -> None:
    again = forms.build(lab, tuple(CATALOG.values()), forms.service(ROOT), arch=ARCH)
    assert {n: a.sha256 for n, a in again.items()} == {n: a.sha256 for n, a in artifacts.items()}
    assert not any(artifact.built_now for artifact in again.values())


def test_corrupted_artifact_is_built_again(lab: Lab, artifacts: dict[str, Artifact]) -> None:
    load = artifacts["load"]
    with load.path.open("r+b") as file:
        file.seek(4096)
        byte = file.read(1)
        file.seek(4096)
        file.write(bytes([byte[0] ^ 1]))
    assert cache.find(lab, load.key, "load") is None
    again = forms.build(lab, (CATALOG["twin"],), forms.service(ROOT), arch=ARCH)["load"]
    assert (again.built_now, again.sha256) == (True, load.sha256)


def test_two_builders_at_once_make_one_artifact(tmp_path: Path, lab: Lab, artifacts: dict[str, Artifact]) -> None:
    """Two processes, one home, an empty artifact cache: the same binary in both, nothing half made beside it."""
    home = tmp_path / "home"
    (home / "cache").mkdir(parents=True)
    (home / "cache/build").symlink_to(lab.paths.build)
    code = (
        "import sys, pathlib; from lab import forms; from tests.support import lab_at, ROOT;"
        "a = forms.build(lab_at(pathlib.Path(sys.argv[1])), (forms.catalog(ROOT)['twin'],), forms.service(ROOT),"
        f" arch={ARCH!r}); print(*sorted({{x.key + ' ' + x.sha256 for x in a.values()}}), sep='\\n')"
    )
    argv = [sys.executable, "-c", code, str(home)]
    both = [subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [child.communicate(timeout=900)[0] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert said[0] == said[1]
    assert f"{artifacts['twin'].key} {artifacts['twin'].sha256}" in said[0]
    assert not [path.name for path in (home / "cache/artifacts").iterdir() if path.name.startswith(cache.TEMP_PREFIX)]


@pytest.mark.parametrize(
    "name",
    [
        # a woven build of another module takes minutes on two cores
        pytest.param("orchestrion-otel", marks=pytest.mark.nightly),
        pytest.param("orchestrion-dd", marks=pytest.mark.nightly),
        "ebpf",
    ],
)
def test_a_strangers_service(lab: Lab, artifacts: dict[str, Artifact], tmp_path: Path, name: str) -> None:
    """Another module path and layout, DefaultServeMux, a late handler, two servers, sql.OpenDB: the same tree."""
    service = forms.service(ROOT, FOREIGN)
    made = forms.build(lab, (CATALOG[name],), service, arch=ARCH)
    assert made[name].sha256 != artifacts[name].sha256
    plan, tree = plan_for(lab, (CATALOG[name],), service, made, scenario_path=FOREIGN / "scenario.yaml")
    canary = prove(plan, tree, tmp_path)[name]
    assert canary.ok, canary.reason
    assert canary.requests[0].seen == {"front": 1, "call-stock": 1, "stock": 1, "count": 1}
    # own-orchestrion-tool-file: it was woven before, with an aspect of its own; the form's files take their place
    assert b"OWN_ASPECT_WOVEN" not in made[name].path.read_bytes()
    files = [change.what for change in made[name].changes if change.kind == "file"]
    woven = CATALOG[name].mechanism == "compile-time"
    assert files == (["orchestrion.tool.go", "orchestrion.yml"] if woven else [])
    added = {change.what for change in made[name].changes if change.kind == "added"}
    weaver = {"orchestrion-otel": "lab.example/otelboot", "orchestrion-dd": "github.com/DataDog/dd-trace-go/v2"}
    assert added >= {weaver[name]} if woven else not added


def copy_of(tmp_path: Path, name: str) -> Path:
    """A root of its own with this form and the service, to be spoilt."""
    for folder in ("demo/service", f"demo/forms/{name}", "demo/orchestrion"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_a_form_that_weaves_nothing_is_an_error_naming_it(lab: Lab, tmp_path: Path) -> None:
    root = copy_of(tmp_path, "orchestrion-otel")
    yaml = root / "demo/forms/orchestrion-otel/form.yaml"
    yaml.write_text(yaml.read_text().replace("[orchestrion, go, build", "[go, build"))
    form = forms.catalog(root)["orchestrion-otel"]
    with pytest.raises(DemoError, match=r"orchestrion-otel.*does not call lab\.example/otelboot\.WrapServer"):
        forms.build(lab, (form,), forms.service(root), arch=ARCH)


def test_a_service_that_does_not_compile_says_where(lab: Lab, tmp_path: Path) -> None:
    root = copy_of(tmp_path, "baseline")
    (root / "demo/service/broken.go").write_text("package main\n\nvar broken int = nothing\n")
    with pytest.raises(DemoError, match="form baseline does not build") as caught:
        forms.build(lab, (forms.catalog(root)["baseline"],), forms.service(root), arch=ARCH)
    assert "broken.go:3" in str(caught.value.detail)
    assert caught.value.fix
