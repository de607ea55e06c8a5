"""manifest.json of a run: its inputs, and the digest of every file. Written by the host, last."""

from __future__ import annotations

import datetime as dt
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from lab import __version__
from lab.guest.wire import COUNTED, FileEntry, GuestManifest, Plan, encode
from lab.model.facts import HostFingerprint, MachineFacts
from lab.model.form import Artifact, Form
from lab.model.paths import GUEST_DIR, INCOMPLETE_PREFIX, MANIFEST_FILE
from lab.model.run import LeftOut, RunArtifact, RunForm, RunManifest, tool_versions
from lab.model.scenario import Scenario
from lab.runs.noise import profile_hash
from lab.runs.sealed import SELF_KEY, self_digest
from lab.system import digests, store, traps

# derived from the sealed files after the manifest, so they are not in it
DERIVED: Final = frozenset({"summary.json", "report.html", "report.md", "junit.xml", MANIFEST_FILE, "events.jsonl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """The host's facts about a run beyond the plan."""

    provider: str
    accel: str
    image_id: str
    guest: MachineFacts
    artifacts: Mapping[str, Artifact]  # by form, and by helper
    forms: tuple[Form, ...]
    scenario: Scenario
    playbook_digest: str
    argv: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def new_run_id(scenario: str) -> str:
    """A sortable name: UTC time, scenario, four random hex digits."""
    now = dt.datetime.now(dt.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{scenario}-{secrets.token_hex(2)}"


def host_facts() -> HostFingerprint:
    """Of this host."""
    return HostFingerprint(
        os=platform.system(),
        release=platform.release(),
        arch=platform.machine(),
        python=platform.python_version(),
        lab=__version__,
    )


def files(directory: Path, guest: GuestManifest) -> tuple[FileEntry, ...]:
    """Every file of a run with its digest; for files in `guest`, the digest by which they were verified."""
    known = {f"{GUEST_DIR}/{entry.path}": entry for entry in guest.files}
    found = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name in known:
            found.append(FileEntry(name, known[name].size, known[name].sha256))
        elif path.is_file() and name not in DERIVED:
            found.append(FileEntry(name, path.stat().st_size, digests.of_file(path)))
    return tuple(found)


def document(plan: Plan, facts: Circumstances, files: tuple[FileEntry, ...]) -> RunManifest:
    """manifest.json of a run with these files, without its grade and noise floor."""
    tools = tool_versions(facts.artifacts.values())
    return RunManifest(
        run_id=plan.run_id,
        plan_digest=plan.digest(),
        guest_manifest_sha256=next(e.sha256 for e in files if e.path == f"{GUEST_DIR}/{MANIFEST_FILE}"),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        scenario=plan.scenario,
        profile=plan.profile,
        seed=plan.seed,
        provider=facts.provider,
        acceleration=facts.accel,
        image_id=facts.image_id,
        host=host_facts(),
        trap_ns=traps.trap_ns() if plan.clock == COUNTED and any(form.agent for form in plan.forms.values()) else None,
        guest=facts.guest.reported,
        lab_version=__version__,
        scenario_title=facts.scenario.title,
        threshold_pct=facts.scenario.threshold_pct,
        primary=facts.scenario.primary,
        profile_hash=profile_hash(plan, facts.provider, facts.accel, facts.guest, tools.get("go", "")),
        toolchain=tools,
        forms=tuple(_form(form, plan, facts.artifacts) for form in facts.forms),
        left_out=facts.left_out,
        artifacts=tuple(_artifact(artifact) for artifact in facts.artifacts.values()),
        playbook_sha256=facts.playbook_digest,
        command=facts.argv,
        files=files,
    )


def _form(form: Form, plan: Plan, artifacts: Mapping[str, Artifact]) -> RunForm:
    spec = plan.forms[form.name]
    built = artifacts.get(form.name)
    return RunForm(
        name=form.name,
        title=form.title,
        mechanism=form.mechanism,
        of=form.of,
        sha256=spec.sha256,
        build_id=spec.build_id,
        agent_sha256=spec.agent.sha256 if spec.agent else None,
        size_bytes=built.size_bytes if built else None,
        cold_s=built.cold_s if built else None,
        warm_s=built.warm_s if built else None,
        modules_added=_modules_added(plan, built, artifacts),
        files_changed=_files_changed(form, built),
        claims=form.claims,
        changes=built.changes if built else (),
    )


def _modules_added(plan: Plan, built: Artifact | None, artifacts: Mapping[str, Artifact]) -> int | None:
    """Number of modules in this form's binary that the uninstrumented one does not have; None without that one."""
    plain = (artifacts.get(name) for name, spec in plan.forms.items() if spec.mechanism == "none")
    base = next(filter(None, plain), None)
    if built is None or base is None or built.modules is None or base.modules is None:
        return None
    return len(set(built.modules) - set(base.modules))


def _files_changed(form: Form, built: Artifact | None) -> int | None:
    """Number of source files that the build changed, at least; 0 for a form without compile-time changes."""
    if form.mechanism != "compile-time":
        return 0
    return len(built.woven_files) if built and built.woven_files is not None else None


def _artifact(artifact: Artifact) -> RunArtifact:
    return RunArtifact(**{one.name: getattr(artifact, one.name) for one in fields(RunArtifact)})


def publish(incomplete: Path, manifest: RunManifest) -> Path:
    """Write manifest.json, sealed by its own digest, and rename incomplete-ID to ID."""
    sealed = encode(manifest)
    store.write_json(incomplete / MANIFEST_FILE, {**sealed, SELF_KEY: self_digest(sealed)})
    final = incomplete.with_name(incomplete.name.removeprefix(INCOMPLETE_PREFIX))
    incomplete.replace(final)
    store.sync_dir(final.parent)
    return final
