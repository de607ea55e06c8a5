"""One form that does not fit the service leaves the others going, also over a kill (case double-spans)."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.faults.running import running
from tests.faults.test_native_demo import run_ids, under_load
from tests.support import ROOT, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
SERVICE = ROOT / "tests/contract/by_hand"
FORMS = ("--provider", "local", "--form", "baseline,orchestrion-otel,twin", "--json")
TOLD = "form orchestrion-otel does not fit this service: main.go:9 imports"


def test_demo_goes_on_without_it_and_names_it_at_the_end(home: Path) -> None:
    argv = ("demo", str(SERVICE / "scenario.yaml"), "--name", "native", "--profile", "stage", *FORMS)
    with running(*argv, home=home) as first:
        first.until(lambda: under_load(home), "a cell's load")
        first.signal(signal.SIGKILL)
        first.wait()
    cut = run_ids(home)
    with running(*argv, home=home) as second:
        assert second.wait() == 6, second.said()
        done = second.result()
    assert run_ids(home) == cut == [done["run_id"]], "the second command goes on with the first one's run"
    assert [each["form"] for each in done["left_out"]] == ["orchestrion-otel"]
    summary = json.loads((Path(done["run_dir"]) / "summary.json").read_text())
    assert summary["left_out"] == done["left_out"]
    assert summary["left_out"][0]["reason"].startswith(TOLD)
    assert set(summary["forms"]) == {"baseline", "twin"}
    assert "orchestrion-otel</b> was not built" in (Path(done["run_dir"]) / "report.html").read_text()


def test_deploy_proves_the_others(home: Path) -> None:
    ran = run_lab("deploy", "native", "--service", str(SERVICE), *FORMS, home=home, limit_s=280)
    assert ran.code == 6, ran.stderr
    proofs = json.loads(ran.stdout.splitlines()[-1])["result"]["proofs"]
    assert {form: (proof["ok"], proof["built"]) for form, proof in proofs.items()} == {
        "baseline": (True, True),
        "orchestrion-otel": (False, False),
        "twin": (True, True),
    }
    assert proofs["orchestrion-otel"]["reason"].startswith(TOLD)
