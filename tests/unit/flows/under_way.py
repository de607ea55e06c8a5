"""A made-up run that has ended in this very Linux, as a stage of `DEMO` takes it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from lab import forms
from lab.flows.deliver import guest_root
from lab.flows.stages import Started
from lab.guest.wire import FileEntry, GuestManifest, GuestRecord, dump, load
from lab.model.facts import MachineFacts
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.loading.load_scenario import load_scenario
from lab.model.machine import Handle, LocalEndpoint, Machine, MachineSpec
from lab.model.own import Change
from lab.runs import manifest
from lab.runs.drive import Site
from tests.unit.report import synthetic

PLAN = synthetic.plan(requests=20)


BESIDE = Change(what="main.go:1 imports otelhttp", kind="beside")


def artifact(form: str) -> Artifact:
    """Forms share a binary; what is told of a form is its own."""
    sha256 = PLAN.forms["baseline"].sha256
    changes = (BESIDE,) if form == "ebpf" else ()
    return Artifact(name="baseline", key="k", path=Path(), sha256=sha256, size_bytes=1, build_id="b", changes=changes)


def started(lab: Lab, *events: tuple[str, dict[str, Any]]) -> Started:
    """Its folder in the machine holds these events and `done`, and is sealed."""
    spec = MachineSpec(name=lab.config.machine.name, provider="local")
    handle = Handle(provider="local", name=spec.name, machine_id="1" * 32, directory="")
    machine = Machine(spec=spec, handle=handle, endpoint=LocalEndpoint())
    site = Site(root=guest_root(lab, machine), run_id=PLAN.run_id)
    _sealed(Path(site.out), events)
    catalog = forms.catalog(synthetic.ROOT)
    facts = manifest.Circumstances(
        provider="local", accel="none", image_id="", guest=MachineFacts.of(synthetic.FACTS),
        artifacts={name: artifact(name) for name in PLAN.forms},
        forms=tuple(catalog[name] for name in PLAN.forms if name in catalog),
        scenario=load_scenario(synthetic.ROOT / "demo/scenarios/shop.yaml"), playbook_digest="", argv=("lab", "demo"),
    )  # fmt: skip
    directory = lab.paths.incomplete_run(PLAN.run_id)
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(dump(PLAN), encoding="utf-8")
    return Started(machine=machine, site=site, plan=PLAN, directory=directory, facts=facts)


def _sealed(out: Path, events: tuple[tuple[str, dict[str, Any]], ...]) -> None:
    made = out.parents[2] / "made"
    synthetic.write(made, requests=20)
    out.parent.mkdir(parents=True)
    (made / "guest").rename(out)
    records = [GuestRecord(seq, 1, "boot", kind, data) for seq, (kind, data) in enumerate((*events, ("done", {})), 1)]
    (out / "events.jsonl").write_text("".join(dump(record) + "\n" for record in records), encoding="utf-8")
    seal = out / "manifest.json"
    found = load(GuestManifest, seal.read_text(encoding="utf-8"))
    seal.unlink()
    files = tuple(
        FileEntry(path.relative_to(out).as_posix(), len(data), hashlib.sha256(data).hexdigest())
        for path in sorted(out.rglob("*"))
        if path.is_file()
        for data in [path.read_bytes()]
    )
    whole = GuestManifest(found.run_id, found.plan_digest, found.boot_id, found.cells, files, found.outcome)
    seal.write_text(dump(whole), encoding="utf-8")
