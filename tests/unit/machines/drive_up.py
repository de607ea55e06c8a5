"""Run as a process of its own: `up` or `down` with fakes on PATH; with a number, killed after that journal record.

Usage: drive_up.py VERB HOME [RECORDS]. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lab.machines import lifecycle
from lab.machines.images import golden
from lab.machines.images.image import Image
from lab.machines.providers.qemu.start import QemuHandle
from lab.machines.provisioning import playbook
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import MachineSpec, SshEndpoint
from lab.model.paths import JOURNAL_FILE, Paths
from lab.system import store

verb, home = sys.argv[1], Path(sys.argv[2])
left = [int(sys.argv[3]) if len(sys.argv) > 3 else -1]
append = store.append_line


def append_then_die(path: Path, doc: dict[str, Any], *, durable: bool) -> None:
    append(path, doc, durable=durable)
    if path.name == JOURNAL_FILE:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def fake_image(lab: Lab, spec: MachineSpec) -> Image:
    directory = home / "cache" / "images" / "fake-image"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("disk.raw", "vmlinux", "initrd.cpio"):
        (directory / name).write_bytes(b"fake")
    return Image(id="fake-image", directory=directory, digests={})


store.append_line = append_then_die
golden.ensure = golden.find = fake_image
# this host is not a lab machine, and need not be
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
playbook.verify = lambda *_, **__: playbook.Verified(findings=[], boot_id=BOOT_ID, image_id="fake-image")

lab = Lab(config=Config(), paths=Paths(home=home), bus=Bus())
if verb == "up":
    machine = lifecycle.up(lab, MachineSpec(accel="tcg", memory_mib=64), lock_timeout_s=30)
    assert isinstance(machine.endpoint, SshEndpoint)
    assert isinstance(machine.handle, QemuHandle)
    print(json.dumps({"port": machine.endpoint.port, "uuid": machine.handle.uuid}))
elif verb == "down":
    print(json.dumps({"existed": lifecycle.down(lab, "lab")}))
