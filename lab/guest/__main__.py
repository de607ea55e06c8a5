"""The guest half's command line. Answers are one JSON document on stdout; exit codes as everywhere in lab.

0 ok · 2 usage · 4 a mount or file is missing · 6 sealed, not complete · 8 another run has the lock · 75 stopped
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

EXIT_OK, EXIT_USAGE, EXIT_LACKING, EXIT_FAILED, EXIT_BUSY, EXIT_STOPPED = 0, 2, 4, 6, 8, 75


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="guest.pyz", description="the part of lab that runs inside the machine")
    verbs = top.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("run", "run a plan, or resume it"),
        ("start", "the same, detached"),
        ("standby", "keep a plan's forms running on standby and carry out orders"),
        ("start-standby", "the same, detached"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("--plan", type=Path, required=True)
        one.add_argument("--out", type=Path, required=True)
        one.add_argument("--artifacts", type=Path, required=True)
    for verb, text in (("status", "show the state of the run"), ("stop", "stop at the next safe point")):
        verbs.add_parser(verb, help=text).add_argument("--out", type=Path, required=True)
    verbs.add_parser("facts", help="show the facts of this machine")
    ready = verbs.add_parser("prepare", help="mount kernel file systems and the artifact disk, show the facts")
    ready.add_argument("--journal", type=Path, required=True)
    ready.add_argument("--serial", help="serial of the artifact disk; none: artifacts are files")
    ready.add_argument("--at", type=Path, help="where to mount it")
    verbs.add_parser("undo", help="unmount what prepare mounted").add_argument("--journal", type=Path, required=True)
    return top


def answer(args: argparse.Namespace) -> tuple[int, Any]:
    """Run the verb; returns exit code and document. Imports only what the verb needs: an emulated CPU is slow."""
    if args.verb in ("run", "standby"):
        return _run(args)
    if args.verb in ("start", "start-standby", "status", "stop"):
        return EXIT_OK, _about_run(args)
    if args.verb == "undo":
        from lab.guest.linux.mounts import undo

        return EXIT_OK, {"unmounted": undo(args.journal)}
    from lab.guest.linux.facts import facts

    mounts = _prepare(args) if args.verb == "prepare" else {}
    return EXIT_OK, {**facts(), **mounts, "clock_ns": time.time_ns()}


def _prepare(args: argparse.Namespace) -> dict[str, Any]:
    from lab.guest.linux.mounts import mount_disk, mount_kernel_fs

    args.journal.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = {"mounted_now": mount_kernel_fs(args.journal)}
    if args.serial:
        done["artifact_device"] = mount_disk(args.serial, args.at)
    return done


def _about_run(args: argparse.Namespace) -> dict[str, Any]:
    from lab.guest.run.launch import start, start_standby, status, stop

    out = args.out.resolve()
    if args.verb in ("start", "start-standby"):
        return (start if args.verb == "start" else start_standby)(args.plan, out, args.artifacts.resolve())
    return status(out) if args.verb == "status" else stop(out)


def _run(args: argparse.Namespace) -> tuple[int, Any]:
    from lab.guest.linux.waiting import Cancel
    from lab.guest.wire import Plan, load

    cancel = Cancel()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cancel.ask())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    plan = load(Plan, args.plan.read_bytes())
    if args.verb == "standby":
        from lab.guest.live.standby import standby

        standby(plan, args.out.resolve(), args.artifacts.resolve(), dict(os.environ), cancel)
        return EXIT_OK, {}
    from lab.guest.run.run import run

    manifest = run(plan, args.out.resolve(), args.artifacts.resolve(), dict(os.environ), cancel)
    code = EXIT_OK if manifest.outcome == "complete" else EXIT_FAILED
    return code, {"outcome": manifest.outcome, "reason": manifest.reason, "cells": list(manifest.cells)}


# by name, so that a verb does not import exceptions that it cannot raise
ENDS: dict[str, tuple[int, str, str]] = {
    "Busy": (EXIT_BUSY, "%s", "wait for that run, or stop it"),
    "OtherPlan": (EXIT_USAGE, "%s", "use another --out"),
    "WireError": (EXIT_USAGE, "the plan cannot be read: %s", "create the plan again"),
    "MountFailed": (EXIT_LACKING, "%s", "run the mount by hand as root"),
    "Stopped": (EXIT_STOPPED, "stopped%.0s", "run start again to resume"),
}


def main() -> int:
    args = parser().parse_args()
    os.umask(0o077)  # on a shared machine no other user reads what we or a service write
    try:
        code, document = answer(args)
    except Exception as error:
        if type(error).__name__ in ENDS:
            code, text, fix = ENDS[type(error).__name__]
        elif isinstance(error, OSError):
            code, text, fix = EXIT_LACKING, "%s", "fix the error above"
        else:
            raise
        document = {"error": text % error, "fix": fix}
    print(json.dumps(document, sort_keys=True))
    return code


if __name__ == "__main__":
    sys.exit(main())
