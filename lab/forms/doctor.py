"""Checks what this host needs to build the forms."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from lab.forms import declared
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.model.machine import Finding
from lab.system import proc, resources, tool_paths, toolchain
from lab.system.free_space import exists_for, free_bytes
from lab.system.tool_paths import PLATFORM
from lab.system.wait import Deadline

# Modules 1 GB, compiler caches 2 GB, artifacts 0.4 GB: measured, and rounded up.
NEEDED_GIB: Final = 5


def checks(lab: Lab, *, deep: bool = False) -> list[Finding]:
    """Forms and service are readable, Go is available, a BPF compiler is installed, there is space for the caches.

    `deep` also fetches the toolchain, which may download it.
    """
    return [_data(), _go(lab, deep=deep), *_compilers(), _room(lab)]


def _data() -> Finding:
    try:
        forms = declared.catalog(resources.root())
        service = declared.service(resources.root())
    except LabError as error:
        return Finding(name="forms", verdict="fail", message=error.message, fix=error.fix)
    return Finding(
        name="forms", verdict="ok", message=f"{len(forms)} forms of service {service.name}: {', '.join(forms)}"
    )


def _go(lab: Lab, *, deep: bool) -> Finding:
    version = declared.PLAIN.toolchain
    deadline = Deadline.after(toolchain.FETCH_S if deep else 30, lab.cancel)
    try:
        found = toolchain.find(lab, version, deadline=deadline) if deep else toolchain.at_hand(lab, version, deadline)
    except LabError as error:
        return Finding(name="go", verdict="fail", message=error.message, fix=error.fix)
    if found is None:
        return Finding(name="go", verdict="ok", message=f"{version} is fetched at the first build (65 MB)")
    return Finding(name="go", verdict="ok", message=f"{version} from {found.source} in {found.root}")


def _compilers() -> list[Finding]:
    """One finding per agent that needs a program of the host."""
    out = []
    agents = {form.agent.artifact for form in declared.catalog(resources.root()).values() if form.agent}
    for agent in sorted(agents):
        spec = declared.helper_build(resources.root() / declared.HELPERS_DIR / agent)
        for names in spec.uses.values():
            found = next((name for name in names if proc.which(name)), None)
            name = f"compiler for {agent}"
            if found:
                out.append(Finding(name=name, verdict="ok", message=f"{found} builds its BPF objects"))
            else:
                message = f"none of {', '.join(names)} is installed: this host cannot build {agent}"
                # on other systems forms are built in the machine, unless it is emulated
                verdict: Literal["warn", "fail"] = "fail" if PLATFORM == "linux" else "warn"
                out.append(
                    Finding(name=name, verdict=verdict, message=message, fix=tool_paths.fix(min(names, key=len)))
                )
    return out


def _room(lab: Lab) -> Finding:
    place = exists_for(lab.paths.build)
    free_gib = free_bytes(place) / 1024**3
    done = Path(lab.paths.artifacts).is_dir()
    if free_gib < NEEDED_GIB and not done:
        message = f"{place} has {free_gib:.1f} GiB free, building every form needs {NEEDED_GIB} GiB"
        return Finding(
            name="room for builds",
            verdict="fail",
            message=message,
            fix=f"free {NEEDED_GIB} GiB, or use --home on another disk",
        )
    return Finding(name="room for builds", verdict="ok", message=f"{free_gib:.0f} GiB free in {place}")
