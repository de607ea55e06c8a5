"""`lab fetch`: the rest of an interrupted run, or a verified copy of a complete one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.flows import report, resume
from lab.flows.deliver import guest_root
from lab.flows.stages import fetch_run
from lab.guest.wire import Plan
from lab.machines import lifecycle
from lab.model.errors import FetchError, UsageError
from lab.model.lab import Lab
from lab.model.paths import PLAN_FILE
from lab.runs import drive, sealed
from lab.system import documents, store


def fetch(lab: Lab, run_id: str | None, to: Path | None) -> Path:
    """The run's folder here, each file compared with its manifest. Raises FetchError, UsageError (no such run)."""
    cut = report.cut(lab.paths)
    whole = [path.name for path in report.complete(lab.paths)]
    begun = [name for name, folder in cut.items() if os.path.lexists(folder / PLAN_FILE)]  # else it is just beginning
    name = next(reversed(begun), None) if run_id is None else report.pick(run_id, [*whole, *cut])
    if name in cut:
        folder = _rest(lab, cut[name])
    else:
        folder = report.find(lab.paths, name)
        sealed.check(folder)
    return folder if to is None else _copy(folder, to)


def _rest(lab: Lab, folder: Path) -> Path:
    """Fetch the sealed files of this run; only `lab demo` publishes it, since that needs the facts of the demo."""
    machine = lifecycle.machine(lab, lab.config.machine.name)
    if machine is None:
        raise UsageError(f"the rest of the run is lost: no machine {lab.config.machine.name}", fix="lab demo")
    plan = documents.read(sealed.source(folder, PLAN_FILE), Plan)
    with resume.alone(lab, plan.run_id):
        fetch_run(lab, machine, drive.Site(root=guest_root(lab, machine), run_id=plan.run_id), folder)
    return folder


def _copy(folder: Path, to: Path) -> Path:
    """Copy a run; the copy gets its final name only after each file was compared with the manifest."""
    target = to.expanduser().absolute() / folder.name
    if target.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{to} is inside the run", fix="use another folder with --to")
    part = target.with_name(f".{folder.name}.part")
    if target.is_symlink():
        raise UsageError(f"{target} is a symbolic link", fix=f"remove {target}, or use another folder with --to")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(folder, part, symlinks=True)
    except OSError as error:
        raise FetchError(f"cannot write {to}: {error}", fix="use another folder with --to") from error
    sealed.check(part)
    shutil.rmtree(target, ignore_errors=True)
    store.retry_while_open(lambda: part.replace(target))
    return target
