"""The run that the scripts made, for whoever looks at its results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.guest.wire import load
from lab.model.config import DemoConfig
from lab.model.summary import Summary
from tests.support import ROOT, run_lab, test_home

DEMO_S = 1200.0
BLOCKS = 1  # in each life of a form, where the shipped scenario has ten


def short_shop(folder: Path) -> Path:
    """The shipped scenario with so few blocks that it is over in minutes where compilers run beside it."""
    text = (ROOT / "demo/scenarios/shop.yaml").read_text(encoding="utf-8")
    short, found = re.subn(r"(?m)^(counted: .*)blocks: \d+", rf"\1blocks: {BLOCKS}", text)
    assert found == 1
    path = folder / "short-shop.yaml"
    path.write_text(short, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest whole run of the default forms; made here when the scripts did not come before."""
    found = _newest()
    if found is None:
        scenario = str(short_shop(tmp_path_factory.mktemp("scenario")))
        own = {"LAB_MACHINE_CLOCK": "auto"}  # as whoever runs it by hand
        ran = run_lab("demo", scenario, "--name", "e2e", "--yes", home=test_home(), env=own, limit_s=DEMO_S)
        assert ran.code == 0, ran.stderr
        found = _newest()
    assert found is not None
    again = run_lab("report", found.name, "--no-open", home=test_home())  # by the code that is here now
    assert again.code == 0, again.stderr
    return found


@pytest.fixture(scope="session")
def summary(run_dir: Path) -> Summary:
    return load(Summary, (run_dir / "summary.json").read_bytes())


def _newest() -> Path | None:
    for path in sorted((test_home() / "runs").glob("[0-9]*/manifest.json"), reverse=True):
        doc = json.loads(path.read_text(encoding="utf-8"))
        names = {form["name"] for form in doc["forms"]}
        if names >= set(DemoConfig().forms) and doc["provider"] == "qemu" and doc["scenario"] == "shop":
            return path.parent
    return None
