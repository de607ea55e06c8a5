"""Start a detached run: as a transient systemd unit, or as a session leader."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from lab.guest.linux import ending, idle
from lab.guest.linux.accounts import DELEGATED_ENV
from lab.guest.linux.facts import systemd_runs
from lab.guest.run.journal import read_state
from lab.guest.run.lock import Busy, holder
from lab.guest.run.run import OtherPlan
from lab.guest.run.seal import LAUNCH_LOG, read_seal
from lab.guest.wire import EVENTS_FILE, PLAN_FILE, STATE_FILE, Plan, encode, load

BEGIN_S = 30.0
LOOK_S = 1.0  # between two looks whether it has ended
ASK_S = 10.0


def own_argv() -> list[str]:
    """The argv that runs this program again, as a zipapp or from its folder."""
    entry = Path(sys.argv[0]).resolve()
    if entry.name == "__main__.py":  # python -m lab.guest
        return [sys.executable, "-m", "lab.guest"]
    return [sys.executable, str(entry)]


def new_unit(digest: str, out: Path) -> str:
    """A name that was not used: the unit of an earlier start, which has let the lock go, may still be there."""
    return "lab-guest-%s-%s-%s.service" % (ending.tag(ending.runs_of(str(out))), digest[:12], os.urandom(3).hex())


def unit_argv(name: str, command: list[str], out: Path) -> list[str]:
    """A unit that owns its cgroup subtree and ends all its processes when it stops."""
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=" + name,
        "--property=Delegate=yes",
        "--property=KillMode=mixed",
        "--property=TimeoutStopSec=60",
        "--property=LimitMEMLOCK=infinity",
        *(["--property=ExecStopPost=-" + " ".join(idle.UNLOAD)] if os.path.exists(idle.MODULE) else []),
        "--setenv=%s=1" % DELEGATED_ENV,
        "--setenv=PYTHONPATH=%s" % os.environ.get("PYTHONPATH", ""),
        "--setenv=%s=%s" % (ending.OUT_ENV, out),
        "--",
        *command,
    ]


def start(plan_file: Path, out: Path, artifacts: Path) -> dict[str, Any]:
    """Start or resume, detached; a second start of the same plan changes nothing. Raises Busy, OtherPlan, OSError.

    Stops standby forms first: "gave_way" in the answer.
    """
    plan = load(Plan, plan_file.read_bytes())
    digest = plan.digest()
    gave_way = give_way(out)
    other = holder()
    if other:
        if other.get("digest") == digest and other.get("out") == str(out):
            return status(out)
        raise Busy(str(other.get("digest", "")), str(other.get("out", "")), _int(other.get("pid")))
    kept = out / PLAN_FILE
    if kept.exists() and load(Plan, kept.read_bytes()).digest() != digest:
        raise OtherPlan("%s belongs to another plan" % out)
    if read_seal(out) is not None:
        return status(out)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    _launch(digest, _command("run", plan_file, out, artifacts), out)
    return {**status(out), "gave_way": gave_way}


def _command(verb: str, plan_file: Path, out: Path, artifacts: Path) -> list[str]:
    return [*own_argv(), verb, "--plan", str(plan_file.resolve()), "--out", str(out), "--artifacts", str(artifacts)]


def start_standby(plan_file: Path, out: Path, artifacts: Path) -> dict[str, Any]:
    """Start the plan\'s forms on standby, detached; replaces those on standby now. Raises Busy, OSError."""
    plan = load(Plan, plan_file.read_bytes())
    give_way(out)
    other = holder()
    if other:
        raise Busy(str(other.get("digest", "")), str(other.get("out", "")), _int(other.get("pid")))
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (EVENTS_FILE, STATE_FILE):  # a reader of the new one must not see the old one's events
        with contextlib.suppress(FileNotFoundError):
            (out / name).unlink()
    _launch(plan.digest(), _command("standby", plan_file, out, artifacts), out)
    return status(out)


def give_way(out: Path, deadline_s: float = 90.0) -> bool:
    """Stop the standby process of this machine; False when there is none. Idempotent."""
    other = holder()
    on_standby = other.get("standby") or other.get("holds")  # the key of an earlier version
    if not on_standby or ending.runs_of(str(other.get("out", ""))) != ending.runs_of(str(out)):
        return False
    _stop(other, deadline_s)
    return True


def _launch(digest: str, command: list[str], out: Path) -> None:
    log = out / LAUNCH_LOG
    unit = new_unit(digest, out) if systemd_runs() and os.getuid() == 0 else ""
    with open(log, "ab") as file:
        ended = _in_unit(unit, command, out, file) if unit else _detached(command, out, file)
    ends = time.monotonic() + BEGIN_S
    look = time.monotonic() + LOOK_S
    while not _begun(digest, out):
        late = time.monotonic() > ends
        if late or (time.monotonic() > look and ended() and not _begun(digest, out)):
            said = _said_by(unit).strip() or log.read_text(encoding="utf-8", errors="replace").strip()
            raise OSError("the run did not start: %s" % said[-600:])
        if time.monotonic() > look:
            look = time.monotonic() + LOOK_S  # from its end: it takes an emulated CPU as long as a start
        time.sleep(0.05)


def _begun(digest: str, out: Path) -> bool:
    return holder().get("digest") == digest or read_seal(out) is not None


def _detached(command: list[str], out: Path, log: IO[bytes]) -> Callable[[], bool]:
    """Start it as the leader of a session; returns whether it has ended."""
    env = {**os.environ, ending.OUT_ENV: str(out)}
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    return lambda: process.poll() is not None


def _in_unit(unit: str, command: list[str], out: Path, log: IO[bytes]) -> Callable[[], bool]:
    """Start it as a unit of systemd; returns whether it has ended, or was refused."""
    argv = unit_argv(unit, command, out)
    refused = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode != 0
    return lambda: refused or _unit_ended(unit)


def _unit_ended(unit: str) -> bool:
    """Whether systemd has ended it; one that it has forgotten is inactive as well."""
    argv = ["systemctl", "show", "--property=ActiveState", unit]
    return _answer(argv).strip() in ("ActiveState=inactive", "ActiveState=failed")


def _said_by(unit: str) -> str:
    """What a unit wrote; "" without a unit or a journal."""
    argv = ["journalctl", "--unit=" + unit, "--lines=20", "--output=cat", "--quiet", "--no-pager"]
    return _answer(argv) if unit else ""


def _answer(argv: list[str]) -> str:
    """What a program prints; "" where there is none, or it does not end."""
    try:
        said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=ASK_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.decode("utf-8", "replace")


def status(out: Path) -> dict[str, Any]:
    """The state from files and lock; alive is true only while the lock is held for this folder."""
    other = holder()  # first: a run writes its seal before it lets the lock go
    state = read_state(out)
    sealed = read_seal(out)
    return {
        "alive": other.get("out") == str(out),
        "pid": other.get("pid") if other.get("out") == str(out) else None,
        "phase": state.phase if state is not None else "unknown",
        "sealed": sealed is not None,
        "outcome": sealed.outcome if sealed is not None else "",
        "reason": sealed.reason if sealed is not None else (state.reason if state is not None else ""),
        "state": encode(state) if state is not None else None,
    }


def stop(out: Path, deadline_s: float = 90.0) -> dict[str, Any]:
    """Stop the run at its next safe point and wait for that; idempotent."""
    other = holder()
    if other.get("out") == str(out):
        _stop(other, deadline_s)
    return status(out)


def _stop(other: dict[str, Any], deadline_s: float) -> None:
    """Ask the holder of the lock to stop, and wait until it has let the lock go; it may just have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(_int(other.get("pid")), signal.SIGTERM)
    ends = time.monotonic() + deadline_s
    while holder().get("pid") == other.get("pid") and time.monotonic() < ends:
        time.sleep(0.1)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
