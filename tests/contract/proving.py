"""Proofs of forms on this host: built through the cache, started by the guest half, judged from its canaries."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import forms
from lab.guest.linux.facts import facts
from lab.guest.wire import Canary, Life, Plan, Tools, dump, load
from lab.model.facts import MachineFacts
from lab.model.form import Artifact, Form
from lab.model.lab import Lab
from lab.model.loading.load_scenario import load_scenario
from lab.model.service import Service
from lab.runs import plan as planning
from tests.support import ROOT

SCENARIO = ROOT / "demo/scenarios/shop.yaml"
LIFE_S = 120


def plan_for(
    lab: Lab,
    wanted: Sequence[Form],
    service: Service,
    artifacts: dict[str, Artifact],
    topology: str = "all",
    scenario_path: Path = SCENARIO,
) -> tuple[Plan, Path]:
    """A plan of one life without a cell for each form: its proof alone. With the folder of its binaries."""
    tree, _ = forms.artifact_tree(lab, artifacts)
    scenario = load_scenario(scenario_path)
    here = MachineFacts.of(facts())
    specs = {
        form.name: forms.form_spec(form, artifacts, here, topology=topology, service=service, scenario=scenario)
        for form in wanted
    }
    load_tool, sink = artifacts["load"], artifacts["sink"]
    tools = Tools(
        load=forms.tree_path(load_tool),
        load_sha256=load_tool.sha256,
        sink=forms.tree_path(sink),
        sink_sha256=sink.sha256,
    )
    parameters = planning.RunParameters(
        profile="stage", seed=1, topology=topology, rate_rps=10, emulated=False, cpus=os.cpu_count() or 1
    )
    plan = planning.make("proof", scenario, service, specs, tools, parameters)
    lives = tuple(Life(block=0, form=form.name, cells=()) for form in wanted)
    return dataclasses.replace(plan, lives=lives), tree


def prove(plan: Plan, tree: Path, out: Path) -> dict[str, Canary]:
    """Run the plan's lives on this host; canaries by form."""
    out.mkdir(parents=True, exist_ok=True)
    plan_file = out / "wanted.json"
    plan_file.write_text(dump(plan), encoding="utf-8")
    argv = [sys.executable, "-m", "lab.guest", "run", "--plan", str(plan_file), "--out", str(out / "run")]
    done = subprocess.run(
        [*argv, "--artifacts", str(tree)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIFE_S * (1 + len(plan.lives)),
        check=False,
    )
    assert done.returncode in (0, 6), done.stderr
    canaries = [load(Canary, path.read_bytes()) for path in sorted((out / "run").glob("lives/*/canary.json"))]
    return {canary.form: canary for canary in canaries}
