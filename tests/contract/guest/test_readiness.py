"""A service that cannot be asked: the message names what it answers, where it listens and what it printed.

Cases: fixed-port, grpc-only, no-200, stdout-only, config-file.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import FormSpec, Plan, ProcessSpec, Timeouts
from tests.contract.guest.conftest import SERVICE, baseline, plan, run_guest, sha256

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SHOP = SERVICE.processes[0].argv
READY_S = 4.0


def with_service(artifacts: Path, form: FormSpec, **changes: Any) -> Plan:
    """One cell of `form`; `changes` are the service's."""
    timeouts = Timeouts(ready_s=READY_S, first_span_s=20, drain_s=20, quiet_s=0.8, stop_s=10, request_s=5, idle_s=0.1)
    return plan(artifacts, [form], service=replace(SERVICE, **changes), timeouts=timeouts)


def script(artifacts: Path, text: str) -> FormSpec:
    """A form whose service is a shell script: it never becomes ready, so nobody asks which file it runs."""
    path = artifacts / "script"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return baseline(artifacts, binary="script", sha256=sha256(path))


def reason(out: Path) -> str:
    doc = json.loads(next((out / "lives").glob("*/life.json")).read_text())
    assert not doc["ok"]
    return str(doc["reason"])


def test_fixed_port_names_where_the_service_listens(artifacts: Path, out: Path) -> None:
    argv = tuple(a.replace("{port:gateway}", "{port:other}") for a in SHOP)
    value = with_service(
        artifacts,
        baseline(artifacts),
        processes=(ProcessSpec(name="shop", argv=argv),),
        ports=("gateway", "catalog", "pricing", "orders", "other"),
    )
    run_guest(value, out, artifacts)
    assert "nothing listens on port gateway (127.0.0.1:" in reason(out)
    assert "it listens on 127.0.0.1:" in reason(out)
    assert "does it take {port:gateway} from its argv, env or files?" in reason(out)


def test_grpc_only_is_recognised_long_before_the_deadline(artifacts: Path, out: Path) -> None:
    value = with_service(artifacts, baseline(artifacts), ready_port="pricing")
    value = replace(value, timeouts=replace(value.timeouts, ready_s=60))
    began = time.monotonic()
    run_guest(value, out, artifacts)
    assert time.monotonic() - began < 30
    assert "as gRPC servers do: lab sends requests over HTTP/1.1 only" in reason(out)


def test_no_200_names_the_status_and_the_key(artifacts: Path, out: Path) -> None:
    run_guest(with_service(artifacts, baseline(artifacts), ready_path="/fail"), out, artifacts)
    assert "GET /fail on port gateway (127.0.0.1:" in reason(out)
    assert "answers 500, not 2xx (ready.status in service.yaml)" in reason(out)


@pytest.mark.parametrize("changes", [{"ready_path": "/fail", "ready_status": (500,)}, {"ready_path": ""}])
def test_no_200_is_ready_by_its_own_status_or_by_a_connection(
    artifacts: Path, out: Path, changes: dict[str, Any]
) -> None:
    headers = {} if changes["ready_path"] else {"build_header": "", "form_header": ""}
    code, answer = run_guest(with_service(artifacts, baseline(artifacts), **changes, **headers), out, artifacts)
    assert (code, answer["cells"]) == (0, ["01-baseline-mid"]), answer


def test_stdout_only_is_shown(artifacts: Path, out: Path) -> None:
    form = script(artifacts, "echo 'no licence in /etc/pinned'; echo 'giving up' >&2; exit 3\n")
    run_guest(with_service(artifacts, form), out, artifacts)
    assert "shop exited with code 3" in reason(out)
    assert "shop wrote to stdout: no licence in /etc/pinned" in reason(out)
    assert "shop wrote to stderr: giving up" in reason(out)


def test_a_silent_service_that_never_listens(artifacts: Path, out: Path) -> None:
    run_guest(with_service(artifacts, script(artifacts, "exec sleep 60\n")), out, artifacts)
    assert "it listens on no TCP port" in reason(out)


def test_endless_output_is_cut(artifacts: Path, out: Path) -> None:
    form = script(artifacts, "yes 'all work and no play' | head -c 50000000; exit 1\n")
    run_guest(with_service(artifacts, form), out, artifacts)
    assert "all work and no play" in reason(out)
    assert len(reason(out)) < 2000


def test_config_file_is_written_where_the_service_starts(artifacts: Path, out: Path) -> None:
    text = "listen: 127.0.0.1:{port:gateway}\nkeep: {this}\n"
    form = script(artifacts, "cat etc/app.yaml; exit 1\n")
    value = with_service(artifacts, form, processes=(ProcessSpec(name="shop", argv=(), files={"etc/app.yaml": text}),))
    run_guest(value, out, artifacts)
    assert "listen: 127.0.0.1:" in reason(out)
    assert "{port:" not in reason(out)
    assert "keep: {this}" in reason(out)


def test_files_of_the_service_are_not_taken_for_our_logs(artifacts: Path, out: Path) -> None:
    form = script(artifacts, "echo secret > 'evil name.log'; echo mine >&2; exit 1\n")
    run_guest(with_service(artifacts, form), out, artifacts)
    assert not list(out.rglob("evil*"))
    assert [path.read_text() for path in out.rglob("shop.log")] == ["mine\n"]
