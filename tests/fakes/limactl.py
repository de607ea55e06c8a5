#!/usr/bin/env python3
"""A stand-in for limactl: its words are those that limactl 2.2.0 really said (tests/fakes/lima), its state is kept.

Instances live in LIMA_HOME as Lima's do. A started one is tests/fakes/cloud_machine.py, made from the template's boot
script. FAKE_LIMA="VERB=RECORDING" makes a verb say and do what was recorded under that name.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from types import ModuleType

HOME = Path(os.environ["LIMA_HOME"])
RECORDED = Path(__file__).parent / "lima"
PID = "fake.pid"
PORT = "fake.port"


def machine() -> ModuleType:
    """Only what starts, ends or looks for one waits for this."""
    from tests.fakes import cloud_machine

    return cloud_machine


def replay(name: str, *swaps: tuple[str, str]) -> int:
    """Say what was recorded, about this instance; the exit code that was recorded."""
    text = (RECORDED / f"{name}.txt").read_text(encoding="utf-8")
    for old, new in swaps:
        text = text.replace(old, new)
    out, _, rest = text.partition("--- stdout\n")[2].partition("--- stderr\n")
    err, _, code = rest.rpartition("--- exit ")
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


def running(name: str) -> bool:
    pid = HOME / name / PID
    return pid.exists() and machine().alive(int(pid.read_text()))


def listed(name: str) -> int:
    if not (HOME / name / "lima.yaml").exists():
        return replay("list-unknown", ("nosuch", name))
    template = json.loads((HOME / name / "lima.yaml").read_text())
    recorded = (RECORDED / f"list-json{'-running' if running(name) else ''}.txt").read_text(encoding="utf-8")
    doc = json.loads(recorded.partition("--- stdout\n")[2].splitlines()[0])
    doc |= {"name": name, "dir": str(HOME / name), "vmType": template["vmType"], "arch": template["arch"]}
    if running(name):
        doc["sshLocalPort"] = int((HOME / name / PORT).read_text())
    print(json.dumps(doc))
    return 0


def create(name: str, template: Path) -> int:
    if (HOME / name).exists():
        return replay("create-again", ("lab-ok", name))
    (HOME / name).mkdir(parents=True)
    shutil.copy(template, HOME / name / "lima.yaml")
    return replay("create", ("lab-good", name))


def start(name: str) -> int:
    if running(name):
        return replay("start-again", ("t2", name))
    template = json.loads((HOME / name / "lima.yaml").read_text())
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    script = next(each["script"] for each in template["provision"] if each["mode"] == "boot")
    (HOME / name / PORT).write_text(str(port))
    (HOME / name / PID).write_text(str(machine().boot(script, port, HOME / name / "serial.log")))
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return replay("start-json", ("t2", name), ("35467", str(port)))
        time.sleep(0.05)
    raise SystemExit((HOME / name / "serial.log").read_text())


def stop(name: str, *, force: bool) -> int:
    if not running(name) and not force:
        return replay("stop-again", ("t2", name))
    machine().end(int((HOME / name / PID).read_text()))
    return replay("stop", ("t2", name))


def delete(name: str) -> int:
    if not (HOME / name).exists():
        return replay("delete-again", ("nosuch", name))
    if running(name):
        machine().end(int((HOME / name / PID).read_text()))
    shutil.rmtree(HOME / name)
    return replay("delete", ("lab-ok", name))


def main(argv: list[str]) -> int:
    words = [word for word in argv if not word.startswith(("--tty", "--log-format", "--timeout", "--name"))]
    verb = words[0]
    with (HOME.parent / "limactl.calls").open("a") as calls:
        calls.write(f"{verb}\n")
    named = next((word.partition("=")[2] for word in argv if word.startswith("--name=")), words[-1])
    asked, _, recording = os.environ.get("FAKE_LIMA", "").partition("=")
    if asked == verb:
        return replay(recording, ("lab-broken", named))
    match verb:
        case "--version":
            return replay("version")
        case "list":
            return listed(named)
        case "create":
            return create(named, Path(words[-1]))
        case "start":
            return start(named)
        case "stop":
            return stop(named, force="--force" in words)
        case "delete":
            return delete(named)
        case _:
            raise SystemExit(f"nobody has recorded limactl {verb}")


sys.exit(main(sys.argv[1:]))
