"""What a scenario may hold, the real load generator sends: the rules of lab/model/scenario.py and demo/load agree."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from lab.guest.run.load import load_plan
from lab.guest.wire import CellPlan, RequestSpec
from lab.model.scenario import RATE_MAX_RPS, REQUESTS_MAX, request_faults
from tests.contract.guest.conftest import baseline, plan

pytestmark = [pytest.mark.forms, pytest.mark.timeout(1800)]

TAKEN: dict[str, dict[str, Any]] = {
    "plain": {"path": "/"},
    "query": {"path": "/hello?q=café&x=1;2"},
    "encoded": {"path": "/a%20b/%E2%82%AC"},
    "odd characters": {"path": "/~a/!$&'()*+,;=:@/[x]"},
    "parameter": {"path": "/{a}", "params": {"a": {"choice": ["a b/c?d#e%"]}}},
    "parameter with a plus": {"path": "/{a}", "params": {"a": {"choice": ["a+b"]}}},
    "large number": {"path": "/{a}", "params": {"a": {"int": [-(1 << 63), (1 << 63) - 2]}}},
    "body": {"path": "/", "method": "POST", "body": '{"a": "{b}"}', "params": {"b": {"choice": ["\u2028"]}}},
    "header": {"path": "/", "headers": {"X-A": "b\tc", "User-Agent": "lab"}},
    "method": {"path": "/", "method": "PROPFIND"},
    "浏览": {"path": "/"},
}
# what a service reads of the path, of those that are not sent as they are written
READ = {"parameter": "/a b/c?d#e%", "parameter with a plus": "/a+b"}
REFUSED: dict[str, dict[str, Any]] = {
    "space": {"path": "/x?q=a b"},
    "percent": {"path": "/50%"},
    "method": {"path": "/", "method": "GET /"},
    "no status": {"path": "/", "status": ()},
}


class Echo(BaseHTTPRequestHandler):
    """200 to whatever arrives as HTTP."""

    paths: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.answer

    def answer(self) -> None:
        self.paths.append(unquote(self.path))
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers 200."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def send(artifacts: Path, folder: Path, request: RequestSpec, port: int) -> subprocess.CompletedProcess[str]:
    value = plan(artifacts, [baseline(artifacts)], requests=1)
    context = SimpleNamespace(plan=replace(value, requests=(request,)))
    cell = CellPlan(id="canary", level="", rate_rps=1.0, seed=1, warmup_requests=0, requests=1)
    path = folder / "plan.json"
    path.write_text(json.dumps(load_plan(context, port, cell)))  # type: ignore[arg-type]  # only the plan is read
    argv = [str(artifacts / "lab-load"), "--once", request.type, "--plan", str(path), "--index", "0"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_scenario_may_hold_is_sent(artifacts: Path, tmp_path: Path, echo: int, name: str) -> None:
    request = RequestSpec(**{"type": name, "weight": 1.0, "method": "GET", **TAKEN[name]})
    assert request_faults(request) == []
    done = send(artifacts, tmp_path, request, echo)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == 200
    assert Echo.paths[-1] == READ.get(name, Echo.paths[-1])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sent_is_refused_by_the_scenario(artifacts: Path, tmp_path: Path, echo: int, name: str) -> None:
    request = RequestSpec(**{"type": name, "weight": 1.0, "method": "GET", **REFUSED[name]})
    done = send(artifacts, tmp_path, request, echo)
    assert done.returncode != 0 or json.loads(done.stdout.splitlines()[-1])["status"] != 200
    assert name == "no status" or request_faults(request)  # a list of statuses is read, not judged, by the reader


def test_the_limits_are_those_of_lab_load() -> None:
    source = (Path(__file__).parents[3] / "demo/load/plan.go").read_text()
    assert f"maxRequests = {REQUESTS_MAX:_}" in source
    assert f"maxRateRPS  = {RATE_MAX_RPS:_}" in source
