"""TEST DATA. The host's half of a made-up run: manifest, facts, titles, steps."""

from __future__ import annotations

from typing import Any

from lab.guest.wire import Plan
from lab.model.events import Record, StepFinished, StepStarted

FACTS: dict[str, Any] = {
    "kernel": "6.1.0-41-amd64", "arch": "x86_64", "os": "Debian GNU/Linux 12", "lockdown": "none", "btf": True,
    "clocksource": "tsc", "cpus": 2, "memory_mib": 2048, "cpu": "QEMU TCG CPU", "virtualisation": "QEMU",
    "emulated": True,
}  # fmt: skip


def manifest(what: Plan) -> dict[str, Any]:
    build = {"baseline": (92.0, 0.2, 25), "orchestrion-otel": (152.0, 10.1, 30), "ebpf": (224.0, 19.0, 86)}
    forms = []
    for name, spec in what.forms.items():
        cold, warm, size = build.get(name, (None, None, 25))
        row = {"name": name, "title": TITLES.get(name, name), "mechanism": spec.mechanism, "sha256": spec.sha256}
        added, changed = (21, 5) if spec.mechanism == "compile-time" else (0, 0)
        brought = {"modules_added": added, "files_changed": changed}
        forms.append(
            {**row, **brought, "build_id": spec.build_id, "cold_s": cold, "warm_s": warm, "size_bytes": size << 20}
        )
    return {
        "schema": 1, "run_id": what.run_id, "created": "2026-11-22T10:15:00+00:00", "scenario": "shop",
        "scenario_title": "TEST DATA: a made-up ticket shop", "profile": what.profile, "seed": what.seed,
        "provider": "qemu", "acceleration": "tcg", "image_id": "debian-12-0f1e2d", "lab_version": "0.1.0",
        "host": {"os": "Linux", "release": "6.12", "arch": "x86_64", "python": "3.11.7"}, "guest": {},
        "toolchain": {"go": "go1.26.1", "orchestrion": "v1.12.0"}, "forms": forms, "playbook_sha256": "ab" * 32,
        "command": ["lab", "demo", "shop", "--profile", what.profile, "--seed", "20261122"],
        "guest_manifest_sha256": "cd" * 32, "threshold_pct": {"cpu_s_per_1k_requests": 2, "latency_p50_ms": 5},
        "primary": ["cpu_s_per_1k_requests", "latency_p50_ms"],
    }  # fmt: skip


TITLES = {
    "baseline": "Untouched build",
    "twin": "The same build under a second name",
    "orchestrion-otel": "Orchestrion weaving the OpenTelemetry SDK",
    "orchestrion-dd": "Orchestrion as it ships (dd-trace-go)",
    "ebpf": "OpenTelemetry Go agent (eBPF)",
    "delay-cpu": "Control: known extra CPU",
    "delay-wait": "Control: known extra wait",
}


def steps() -> list[Record]:
    """A host's steps: five, the last ones nested."""
    said = (("doctor", 0, 1.4), ("build the forms", 0, 22.1), ("start the machine", 0, 8.3), ("run the demo", 0, 131.0),
            ("prove each form", 4, 21.5), ("measure", 4, 104.2), ("fetch and report", 0, 2.2))  # fmt: skip
    out: list[Record] = []
    for ident, (title, parent, seconds) in enumerate(said, start=1):
        begun, done = StepStarted(name=title, title=title), StepFinished(name=title, outcome="done", seconds=seconds)
        out.append(Record(seq=len(out) + 1, at=float(ident), step=ident, parent=parent, event=begun))
        out.append(Record(seq=len(out) + 1, at=float(ident) + seconds, step=ident, parent=parent, event=done))
    return out
