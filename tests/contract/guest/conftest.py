"""The real Go binaries, built once, and plans that start them on this host."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.forms import declared
from lab.forms.building import build
from lab.guest.linux import ending
from lab.guest.wire import (
    AgentSpec,
    CellPlan,
    Expectation,
    FormExpectation,
    FormSpec,
    Gates,
    Life,
    Plan,
    ProcessSpec,
    RequestSpec,
    ServiceSpec,
    SpanNode,
    Timeouts,
    Tools,
    dump,
)
from lab.model.form import Artifact
from lab.model.machine import Arch
from tests.support import lab_at, test_home

ROOT = Path(__file__).parents[3]
BUILD_ID_FILE = "build-id"

# The parts of demo/service that these runs touch; demo/service's own tests hold service.yaml and the reference.
SERVICE = ServiceSpec(
    name="shop",
    topology="all",
    processes=(
        ProcessSpec(
            name="shop",
            argv=(
                "all",
                "--http=127.0.0.1:{port:gateway}",
                "--catalog-http=127.0.0.1:{port:catalog}",
                "--pricing-grpc=127.0.0.1:{port:pricing}",
                "--orders-grpc=127.0.0.1:{port:orders}",
            ),
        ),
    ),
    ports=("gateway", "catalog", "pricing", "orders"),
    target="gateway",
    ready_port="gateway",
    ready_path="/readyz",
    build_header="X-Lab-Build",
    form_header="X-Lab-Form",
    delay_header="X-Lab-Delay-Ns",
)
BROWSE = (
    SpanNode(id="gateway", kind="server", family="http", match="GET /events"),
    SpanNode(id="call-catalog", parent="gateway", kind="client", family="http", match="GET /catalog/events"),
    SpanNode(id="catalog", parent="call-catalog", kind="server", family="http", match="GET /catalog/events"),
    SpanNode(id="select-page", parent="catalog", kind="client", family="sql", match="SELECT"),
)
VENUES = (SpanNode(id="gateway", kind="server", family="http", match="GET /venues"),)
REFERENCE = {"browse": BROWSE, "venues": VENUES}
REQUESTS = (
    RequestSpec(type="browse", weight=3, method="GET", path="/events?page={page}", params={"page": {"int": [1, 5]}}),
    RequestSpec(type="venues", weight=1, method="GET", path="/venues"),
)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs meet neither a real one nor each other: their lock and register lie in a place of the test's own."""
    monkeypatch.setenv(ending.RUNTIME_ENV, str(tmp_path / "runtime"))


@pytest.fixture(scope="session")
def built() -> dict[str, Artifact]:
    """What the forms room builds for `ebpf`: the baseline's binary, the agent, sink and load; from the shared cache."""
    catalog = declared.catalog(ROOT)
    arch: Arch = "aarch64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    return build(lab_at(test_home()), (catalog["baseline"], catalog["ebpf"]), declared.service(ROOT), arch=arch)


@pytest.fixture(scope="session")
def artifacts(built: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shop, lab-load and lab-sink as the plan names them, in a folder of their own."""
    out = tmp_path_factory.mktemp("artifacts")
    for name, artifact in {"shop": "baseline", "lab-load": "load", "lab-sink": "sink"}.items():
        shutil.copy2(built[artifact].path, out / name)
    (out / BUILD_ID_FILE).write_text(built["baseline"].build_id)
    return out


@pytest.fixture(scope="session")
def agent(built: dict[str, Artifact], artifacts: Path) -> Path:
    """lab-agent, with its BPF objects in it."""
    return Path(shutil.copy2(built["agent"].path, artifacts / "lab-agent"))


def baseline(artifacts: Path, name: str = "baseline", **changes: Any) -> FormSpec:
    """An uninstrumented form; `changes` replace fields."""
    nothing = {t: tuple(Expectation(node=n.id, mode="none") for n in nodes) for t, nodes in REFERENCE.items()}
    fields: dict[str, Any] = {
        "name": name,
        "mechanism": "none",
        "binary": "shop",
        "sha256": sha256(artifacts / "shop"),
        "build_id": (artifacts / BUILD_ID_FILE).read_text(),
        "expected": FormExpectation(requests=nothing),
    }
    return FormSpec(**{**fields, **changes})


def ebpf(artifacts: Path, lockdown: str) -> FormSpec:
    """The agent on the baseline binary; under lockdown each hop is its own trace."""
    split = lockdown in ("integrity", "confidentiality")
    alone = (Expectation(node="catalog", parent="root", cause="lockdown"),)
    rules: dict[str, tuple[Expectation, ...]] = {"browse": alone} if split else {}
    spec = AgentSpec(
        binary="lab-agent",
        sha256=sha256(artifacts / "lab-agent"),
        argv=("--pid={pid}", "--ready={ready}", "--off={off}"),
        env={
            "OTEL_SERVICE_NAME": "{service}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "{sink}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "300",
            "OTEL_GO_AUTO_INCLUDE_DB_STATEMENT": "true",
        },
        off=("google.golang.org/grpc",) if split else (),
        ready_timeout_s=60.0,
    )
    expected = FormExpectation(requests=rules)
    return baseline(artifacts, "ebpf", mechanism="run-time", proof="some", agent=spec, expected=expected)


def plan(artifacts: Path, forms: list[FormSpec], *, blocks: int = 1, requests: int = 40, **changes: Any) -> Plan:
    """Short cells at 40 requests/s; gates that only a busy host misses are wide open."""
    lives = tuple(
        Life(
            block=block,
            form=form.name,
            cells=(CellPlan(f"{block:02d}-{form.name}-mid", "mid", 40.0, 7 + block, 10, requests),),
        )
        for block in range(1, blocks + 1)
        for form in forms
    )
    fields: dict[str, Any] = {
        "run_id": "contract",
        "scenario": "shop",
        "profile": "quick",
        "seed": 1,
        "service": SERVICE,
        "forms": {form.name: form for form in forms},
        "tools": Tools("lab-load", sha256(artifacts / "lab-load"), "lab-sink", sha256(artifacts / "lab-sink")),
        "reference": REFERENCE,
        "requests": REQUESTS,
        "lives": lives,
        "canary": tuple(REFERENCE),
        "gates": Gates(late_hard=False, steal_max=1.0),
        "timeouts": Timeouts(ready_s=30, first_span_s=20, drain_s=20, quiet_s=0.8, stop_s=10, request_s=5, idle_s=0.1),
    }
    return Plan(**{**fields, **changes})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


Guest = Callable[..., "subprocess.CompletedProcess[str]"]


def guest_argv(
    plan_file: Path,
    out: Path,
    artifacts: Path,
    verb: str = "run",
    python: str = sys.executable,
    program: tuple[str, ...] = ("-m", "lab.guest"),
) -> list[str]:
    options = ["--plan", str(plan_file), "--out", str(out), "--artifacts", str(artifacts)]
    return [python, *program, verb, *options]


def write_plan(folder: Path, value: Plan) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "wanted.json"
    path.write_text(dump(value))
    return path


def run_guest(
    value: Plan,
    out: Path,
    artifacts: Path,
    python: str = sys.executable,
    program: tuple[str, ...] = ("-m", "lab.guest"),
) -> tuple[int, dict[str, Any]]:
    """The whole run in the foreground: exit code and answer."""
    argv = guest_argv(write_plan(out.parent, value), out, artifacts, python=python, program=program)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])


def events(out: Path) -> list[dict[str, Any]]:
    whole, _, _ = (out / "events.jsonl").read_text().rpartition("\n")  # the last line may still be written
    return [json.loads(line) for line in whole.splitlines()]


def leftovers(artifacts: Path) -> list[str]:
    """Processes that still run one of our binaries."""
    found = []
    for exe in Path("/proc").glob("[0-9]*/exe"):
        try:
            target = exe.readlink()
        except OSError:
            continue
        if target.parent == artifacts:
            found.append(f"{exe.parent.name} {target.name}")
    return found
