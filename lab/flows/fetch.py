"""A run brought home by hand: the rest of a cut one, or a verified copy of a whole one."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.flows import report
from lab.flows.demo import connected, fetch_run, guest_root
from lab.guest.wire import FileEntry, Plan, decode, load, parse
from lab.machines import lifecycle
from lab.model.errors import FetchError, UsageError
from lab.model.lab import Lab
from lab.model.paths import INCOMPLETE_PREFIX, MANIFEST_FILE, PLAN_FILE
from lab.runs import drive
from lab.runs.fetch import whole
from lab.system import store


def fetch(lab: Lab, run_id: str | None, to: Path | None) -> Path:
    """The run's folder here, verified. Raises FetchError (resumable), UsageError (no such run)."""
    cut = _cut(lab, run_id)
    folder = _rest(lab, cut) if cut is not None else report.find(lab.paths, run_id)
    return folder if to is None else _copy(folder, to)


def _cut(lab: Lab, run_id: str | None) -> Path | None:
    there = sorted(lab.paths.runs.glob(f"{INCOMPLETE_PREFIX}{run_id or ''}*"))
    return there[-1] if there else None


def _rest(lab: Lab, folder: Path) -> Path:
    """What the machine has sealed of this run; sealing here needs the demo's facts, so that `lab demo` publishes it."""
    machine = lifecycle.machine(lab, lab.config.machine.name)
    if machine is None:
        raise UsageError(f"machine {lab.config.machine.name} is gone, and with it the rest of the run", fix="lab demo")
    plan = load(Plan, (folder / PLAN_FILE).read_text(encoding="utf-8"))
    with connected(lab, machine):
        site = drive.Site(root=guest_root(lab, machine), artifacts="", run_id=plan.run_id)
    fetch_run(lab, machine, site, folder)
    return folder


def _copy(folder: Path, to: Path) -> Path:
    """Copy a run and check each file against its manifest; a copy that is already whole is left alone."""
    target = to.expanduser().absolute() / folder.name
    part = target.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(folder, part, symlinks=True)
    except OSError as error:
        raise FetchError(f"{to} cannot be written: {error}", fix="give another folder with --to") from error
    try:
        files = [decode(FileEntry, doc) for doc in parse((part / MANIFEST_FILE).read_text(encoding="utf-8"))["files"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{folder.name}: {MANIFEST_FILE} cannot be read: {type(error).__name__}: {error}"
        raise FetchError(message, fix="lab runs") from error
    bad = [path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_symlink()]
    bad += [entry.path for entry in files if ".." in Path(entry.path).parts or not whole(part / entry.path, entry)]
    if bad:
        raise FetchError(f"{folder.name}: changed since it was sealed: {', '.join(bad[:5])}", fix="lab runs")
    shutil.rmtree(target, ignore_errors=True)
    store.patiently(lambda: part.replace(target))
    return target
