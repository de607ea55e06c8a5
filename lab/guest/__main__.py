"""The guest half's command line. Answers are one JSON document on stdout; exit codes as everywhere in lab.

0 ok · 2 usage · 4 a mount or file is lacking · 6 sealed, not complete · 8 another run holds the machine · 75 stopped
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lab.guest.facts import facts
from lab.guest.locking import Busy
from lab.guest.mounts import MountFailed, mount_disk, mount_kernel_fs, undo
from lab.guest.run import OtherPlan, run
from lab.guest.start import start, status, stop
from lab.guest.waiting import Cancel, Stopped
from lab.guest.wire import Plan, WireError, load

EXIT_OK, EXIT_USAGE, EXIT_LACKING, EXIT_FAILED, EXIT_BUSY, EXIT_STOPPED = 0, 2, 4, 6, 8, 75


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="guest.pyz", description="the half of lab that runs inside the machine")
    verbs = top.add_subparsers(dest="verb", required=True)
    for verb, text in (("run", "do what is missing of a plan"), ("start", "the same, detached")):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("--plan", type=Path, required=True)
        one.add_argument("--out", type=Path, required=True)
        one.add_argument("--artifacts", type=Path, required=True)
    for verb, text in (("status", "what the run does now"), ("stop", "stop at the next safe point")):
        verbs.add_parser(verb, help=text).add_argument("--out", type=Path, required=True)
    verbs.add_parser("facts", help="what this machine is")
    disk = verbs.add_parser("mount-disk", help="mount the artifact disk read-only")
    disk.add_argument("--serial", required=True)
    disk.add_argument("--at", type=Path, required=True)
    for verb, text in (("mount-fs", "mount missing kernel file systems"), ("undo", "unmount what mount-fs mounted")):
        verbs.add_parser(verb, help=text).add_argument("--journal", type=Path, required=True)
    return top


def answer(args: argparse.Namespace) -> tuple[int, Any]:
    """Do the verb; its exit code and its document."""
    if args.verb == "run":
        return _run(args)
    if args.verb == "start":
        return EXIT_OK, start(args.plan, args.out.resolve(), args.artifacts.resolve())
    if args.verb == "status":
        return EXIT_OK, status(args.out.resolve())
    if args.verb == "stop":
        return EXIT_OK, stop(args.out.resolve())
    if args.verb == "mount-disk":
        return EXIT_OK, {"device": mount_disk(args.serial, args.at), "at": str(args.at)}
    if args.verb == "mount-fs":
        args.journal.parent.mkdir(parents=True, exist_ok=True)
        return EXIT_OK, {"mounted": mount_kernel_fs(args.journal)}
    if args.verb == "undo":
        return EXIT_OK, {"unmounted": undo(args.journal)}
    return EXIT_OK, facts()


def _run(args: argparse.Namespace) -> tuple[int, Any]:
    cancel = Cancel()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cancel.ask())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    plan = load(Plan, args.plan.read_bytes())
    manifest = run(plan, args.out.resolve(), args.artifacts.resolve(), dict(os.environ), cancel)
    code = EXIT_OK if manifest.outcome == "complete" else EXIT_FAILED
    return code, {"outcome": manifest.outcome, "reason": manifest.reason, "cells": list(manifest.cells)}


def main() -> int:
    args = parser().parse_args()
    try:
        code, document = answer(args)
    except Busy as error:
        code, document = EXIT_BUSY, {"error": str(error), "fix": "wait for it, or stop it"}
    except OtherPlan as error:
        code, document = EXIT_USAGE, {"error": str(error), "fix": "give another --out"}
    except WireError as error:
        code, document = EXIT_USAGE, {"error": "the plan cannot be read: %s" % error, "fix": "make the plan again"}
    except MountFailed as error:
        code, document = EXIT_LACKING, {"error": str(error), "fix": "see the error; `mount` as root shows it too"}
    except OSError as error:
        code, document = EXIT_LACKING, {"error": str(error), "fix": "see the error"}
    except Stopped:
        code, document = EXIT_STOPPED, {"error": "stopped", "fix": "the same start goes on"}
    print(json.dumps(document, sort_keys=True))
    return code


if __name__ == "__main__":
    sys.exit(main())
