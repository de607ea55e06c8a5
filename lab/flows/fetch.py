"""`lab fetch`: the rest of an interrupted run, or a verified copy of a complete one."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from lab.flows import report, resume
from lab.flows.deliver import guest_root
from lab.flows.stages import fetch_run
from lab.guest.wire import Plan
from lab.machines import lifecycle
from lab.model.errors import FetchError, UsageError
from lab.model.lab import Lab
from lab.model.paths import MANIFEST_FILE, PLAN_FILE
from lab.runs import drive, sealed
from lab.system import documents, store

OTHER: Final = "use another folder with --to"
FIGURE: Final = re.compile(r"figure-[^/]*\.svg")
SHOWN: Final = 5  # names in a message


def fetch(lab: Lab, run_id: str | None, to: Path | None) -> Path:
    """The run's folder here, each file compared with its manifest. Raises FetchError, UsageError (no such run)."""
    cut = report.cut(lab.paths)
    whole = [path.name for path in report.complete(lab.paths)]
    begun = [name for name, folder in cut.items() if os.path.lexists(folder / PLAN_FILE)]  # else it is just beginning
    name = (
        next(reversed(begun), None)
        if run_id is None
        else report.pick(run_id, [*whole, *cut, *report.half_copied(lab.paths)])
    )
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
        raise UsageError(f"{to} is inside the run", fix=OTHER)
    _check_target(folder, target)
    part = target.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(folder, part, symlinks=True)
        sealed.check(part)
        shutil.rmtree(target, ignore_errors=True)
        store.retry_while_open(lambda: part.replace(target))
    except OSError as error:
        raise FetchError(f"cannot write {to}: {error}", fix=OTHER) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _check_target(folder: Path, target: Path) -> None:
    """Only a copy of this run is replaced, and only while no file of others is in it. Raises UsageError."""
    shown, fix = documents.shown_path(str(target)), f"remove it, or {OTHER}"
    if target.is_symlink():
        raise UsageError(f"{shown} is a symbolic link", fix=fix)
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{shown} is not a folder", fix=fix)
    there = _names(target)
    if there and not _equal(folder / MANIFEST_FILE, target / MANIFEST_FILE):
        raise UsageError(f"{shown} is not a copy of this run", fix=fix)
    derived = {name for name in there if name in report.WRITTEN or FIGURE.fullmatch(name)}  # also of an earlier lab
    if others := sorted(there - derived - _names(folder)):
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        listed = documents.shown_path(", ".join(others[:SHOWN]))
        raise UsageError(f"{shown} has files of others: {listed}{more}", fix=f"move them, or {OTHER}")


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _equal(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False
