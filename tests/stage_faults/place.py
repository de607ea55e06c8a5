"""The forms of a show on standby on this host, by the product's own guest half, and orders to them.

Lanes beside the four forms of the show are the same forms, made wrong: a sample may take one in the place of its form.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lab import forms
from lab.forms import declared
from lab.forms.tree import artifact_tree
from lab.guest.linux import ending
from lab.guest.linux.facts import facts
from lab.guest.wire import FormSpec, Life, Plan, Tools, dump
from lab.guest.wire.live import LIVE_KINDS, LiveEvent, Order, OrderEnded, Refused, live_from_json
from lab.model.facts import MachineFacts
from lab.model.form import Form
from lab.model.lab import Lab
from lab.model.loading.load_form import load_form
from lab.model.loading.load_scenario import load_scenario
from lab.model.machine import HOST_ARCH
from lab.runs import plan as planning
from tests.support import ROOT

SHOWN: Final = ("baseline", "twin", "orchestrion-otel", "ebpf")
OTEL: Final = "orchestrion-otel"
TINY: Final = "otel-tiny-queue"
LOST: Final = "otel-no-context"
STALE: Final = "otel-stale"
GREEDY: Final = "otel-greedy"
FAILING: Final = "otel-failing"
FAILS_PERCENT: Final = 8
SEED: Final = 7


def specs(lab: Lab, folder: Path) -> tuple[dict[str, FormSpec], dict[str, Any], Path]:
    """The four forms and the wrong ones, their artifacts, and where these are."""
    catalog, service = declared.catalog(ROOT), declared.service(ROOT)
    scenario = load_scenario(ROOT / "demo/scenarios/shop.yaml")
    chosen = (*(catalog[name] for name in SHOWN), _without_context(folder))
    artifacts = forms.build(lab, chosen, service, arch=HOST_ARCH)
    here = MachineFacts.of(facts())
    made = {
        form.name: forms.form_spec(form, artifacts, here, topology=scenario.topology, service=service)
        for form in chosen
    }
    tiny = {"OTEL_BSP_MAX_QUEUE_SIZE": "2", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}
    wrong = [
        _lane(made[OTEL], TINY, tiny),
        _lane(made[OTEL], LOST, {}, of=made[LOST]),
        _lane(made[OTEL], GREEDY, {"GOGC": "1"}),
        _lane(made[OTEL], STALE, {}, of=made["baseline"]),
        _lane(made[OTEL], FAILING, {}, args=("--inject-error-pct", str(FAILS_PERCENT))),
    ]
    return {**made, **{one.name: one for one in wrong}}, artifacts, artifact_tree(lab, artifacts)[0]


def _without_context(folder: Path) -> Form:
    """The compile-time form, made with a propagator that passes nothing on and takes nothing up."""
    at = folder / "demo/forms" / LOST
    shutil.copytree(ROOT / "demo/forms" / OTEL, at)
    (folder / "demo/orchestrion").symlink_to(ROOT / "demo/orchestrion")
    for name, before, after in (
        ("form.yaml", f"name: {OTEL}", f"name: {LOST}"),
        ("overlay/.lab/otelboot/otelboot.go", "propagation.TraceContext{}, ", ""),
    ):
        text = (at / name).read_text()
        assert before in text
        (at / name).write_text(text.replace(before, after))
    return load_form(at)


def _lane(
    form: FormSpec, name: str, env: Mapping[str, str], of: FormSpec | None = None, args: tuple[str, ...] = ()
) -> FormSpec:
    """This form with another environment, with another one's program, or with more on its command line."""
    program = of or form
    return replace(
        form,
        name=name,
        env={**form.env, **env, "LAB_FORM": name},
        args=(*form.args, *args),
        binary=program.binary,
        sha256=program.sha256,
        build_id=program.build_id,
    )


def plan(named: Mapping[str, FormSpec], artifacts: Mapping[str, Any]) -> Plan:
    """Each of them once, without load."""
    scenario = load_scenario(ROOT / "demo/scenarios/shop.yaml")
    parameters = planning.RunParameters(
        profile="stage", seed=SEED, topology=scenario.topology, rate_rps=40.0, emulated=False, cpus=os.cpu_count() or 1
    )
    load, sink = artifacts["load"], artifacts["sink"]
    tools = Tools(forms.tree_path(load), load.sha256, forms.tree_path(sink), sink.sha256)
    made = planning.make("stage-faults", scenario, declared.service(ROOT), named, tools, parameters)
    quick = replace(made.timeouts, first_span_s=3.0, drain_s=3.0, quiet_s=0.8)
    return replace(made, lives=tuple(Life(block=1, form=name, cells=()) for name in named), timeouts=quick)


class Place:
    """A standby process and its folder."""

    def __init__(self, folder: Path, value: Plan, artifacts: Path) -> None:
        self.out, self.numbers, self.offset = folder / "out", itertools.count(1), 0
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(dump(value))
        argv = [sys.executable, "-m", "lab.guest", "standby", "--plan", str(folder / "plan.json")]
        argv += ["--out", str(self.out), "--artifacts", str(artifacts)]
        env = {**os.environ, ending.RUNTIME_ENV: str(folder / "runtime")}
        self.process = subprocess.Popen(argv, cwd=ROOT, env=env)
        told = self.until(lambda one: one["kind"] == "state", 180.0)
        self.proven = {one["data"]["form"]: one["data"]["reason"] for one in told if one["kind"] == "proof"}

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def pids(self, program: str, form: str = "") -> list[int]:
        """Of this place's processes that run an artifact; of one form, where it is given."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                argv = (path / "cmdline").read_bytes().split(b"\0")
                mine = f"{ending.OUT_ENV}={self.out}".encode() in (path / "environ").read_bytes().split(b"\0")
                where = str((path / "cwd").readlink())
            except OSError:
                continue
            if mine and Path(argv[0].decode()).name.startswith(program) and (not form or where.endswith(f"/{form}")):
                found.append(int(path.name))
        return found

    def lines(self) -> Iterator[dict[str, Any]]:
        path = self.out / "events.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield json.loads(line)

    def until(self, wanted: Any, limit_s: float) -> list[dict[str, Any]]:
        """Everything told up to what is wanted."""
        ends, seen = time.monotonic() + limit_s, []
        while time.monotonic() < ends:
            for line in self.lines():
                seen.append(line)
                if wanted(line):
                    return seen
            if self.process.poll() is not None:
                raise RuntimeError(f"the standby process ended: {[line['data'] for line in seen[-3:]]}")
            time.sleep(0.02)
        raise TimeoutError([line["data"] for line in seen[-3:]])

    def order(self, **fields: Any) -> list[LiveEvent]:
        """Give an order and wait for its end."""
        order = Order(id=f"o{next(self.numbers)}-{time.time_ns()}", **fields)
        hidden = self.out / "orders" / f".{order.id}"
        hidden.write_text(dump(order))
        hidden.rename(hidden.with_name(f"{order.id}.json"))
        self.process.send_signal(signal.SIGUSR1)
        kinds = {kind for kind, of in LIVE_KINDS.items() if of in (OrderEnded, Refused)}
        told = self.until(lambda one: one["kind"] in kinds and one["data"]["order"] == order.id, 90.0)
        mine = [one for one in told if one["kind"] in LIVE_KINDS and one["data"]["order"] == order.id]
        events = [live_from_json(one["kind"], one["data"]) for one in mine]
        refused = [event.reason for event in events if isinstance(event, Refused)]
        if refused:
            raise RuntimeError(refused[0])
        return events
