"""Boot a machine, attach agents, take it down, and again: how many of a thousand boots hang, and what becomes of them.

    ./labw python -m tests.e2e.boots [--boots 500] [--ledger FILE] [--before | --single]

Each boot is one line of the ledger, so that a stopped count goes on where it was. --before: without what ADR 10 settles
at boot. --single: all virtual CPUs in one thread. Best under `nice`, beside whatever else this host does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any, Final

from lab.machines import lifecycle
from lab.machines.hang import Hung
from lab.machines.vm import kernel_args, qemu_argv
from lab.model.errors import LabError
from lab.model.events import Notice, Record
from lab.model.machine import MachineSpec
from lab.system.wait import Deadline
from tests.support import lab_at, test_home

NAME: Final = "boots"
LEDGER: Final = "boots.jsonl"
ATTACH_S: Final = 300.0
Z: Final = 1.96
SETTLED: Final = (" cgroup.memory=nokmem,nosocket", ",+rdrand")
# what agents and measured cells switch: uprobes and tracepoints, BPF programs, a group with a limit of memory
ATTACH: Final = """
mkdir -p /sys/fs/cgroup/boots && echo 67108864 > /sys/fs/cgroup/boots/memory.max
sh -c 'echo 0 > /sys/fs/cgroup/boots/cgroup.procs; ls / > /dev/null'
(for i in 1 2 3 4 5 6 7 8 9 10; do ls /; done > /dev/null) &
exec bpftrace -e 'uprobe:/bin/ls:main, uprobe:/lib/x86_64-linux-gnu/libc.so.6:malloc { @u = count(); }
tracepoint:sched:sched_process_exec, tracepoint:sched:sched_switch { @t = count(); }
kprobe:do_sys_openat2 { @k = count(); } interval:s:1 { exit(); }'
"""


def one(home: Path, variant: str) -> dict[str, Any]:
    """One boot, as the ledger has it: seconds, hangs with their evidence, seconds from a hang to a ready machine."""
    lab, hangs, marks = lab_at(home), [], []

    def told(record: Record) -> None:
        if isinstance(record.event, Notice) and "is hung" in record.event.text:
            hangs.append(record.event.text)
            marks.append(time.monotonic())

    lab.bus.add(told)
    spec, began = MachineSpec(name=NAME, accel="tcg", clock="real"), time.monotonic()
    row: dict[str, Any] = {"at": round(time.time()), "variant": variant, "load": round(os.getloadavg()[0], 1)}
    try:
        machine = lifecycle.up(lab, spec, lock_timeout_s=60)
        row["up_s"] = round(time.monotonic() - began, 1)
        try:
            with lifecycle.session(lab, machine, 60) as link:
                row["attached"] = link.run(["sh", "-c", ATTACH], Deadline.after(ATTACH_S, lab.cancel)).ok
        except Hung as hung:
            hangs.append(hung.message)
            marks.append(time.monotonic())
            lifecycle.up(lab, spec, lock_timeout_s=60)
            row["recovered_s"] = round(time.monotonic() - marks[-1], 1)
    except LabError as error:
        row["error"] = error.message
    finally:
        lifecycle.down(lab_at(home), NAME)
    if marks and "recovered_s" not in row and "error" not in row:
        row["recovered_s"] = 0.0  # freed: it went on at the moment that was told
    return {**row, "hangs": hangs, "s": round(time.monotonic() - began, 1)}


def rows(ledger: Path, variant: str) -> list[dict[str, Any]]:
    """What the ledger has of this variant."""
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    return [row for row in map(json.loads, lines) if row["variant"] == variant]


def interval(hung: int, boots: int) -> tuple[float, float]:
    """Wilson's 95 % interval, per 1,000 boots."""
    if boots == 0:
        return 0.0, 1000.0
    share, near = hung / boots, Z * Z / boots
    middle = (share + near / 2) / (1 + near)
    half = Z * math.sqrt(share * (1 - share) / boots + near / boots / 4) / (1 + near)
    return max(0.0, 1000 * (middle - half)), 1000 * (middle + half)


def words(ledger: Path, variant: str) -> str:
    """The count so far."""
    found = rows(ledger, variant)
    hung = [row for row in found if row["hangs"]]
    low, high = interval(len(hung), len(found))
    late = [row for row in hung if row.get("recovered_s", math.inf) > 60]
    rate = 1000 * len(hung) / max(1, len(found))
    return (
        f"{variant}: {len(hung)} of {len(found)} boots hung: {rate:.1f} per 1,000 (95 %: {low:.1f} to {high:.1f});"
        f" not good again within 60 s: {len(late)}"
    )


def count(home: Path, ledger: Path, variant: str, boots: int) -> None:
    """Boot until the ledger has so many of this variant."""
    if variant == "before":
        kernel_args.COMMON = kernel_args.COMMON.replace(SETTLED[0], "")  # type: ignore[misc]
        qemu_argv.EMULATED_CPUS["x86_64"] = qemu_argv.EMULATED_CPUS["x86_64"].replace(SETTLED[1], "")
    if variant == "single":
        qemu_argv.accelerator = lambda accel, *, counted=False: "tcg,thread=single" if accel == "tcg" else accel
    while len(rows(ledger, variant)) < boots:
        row = one(home, variant)
        with ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boots", type=int, default=500)
    parser.add_argument("--ledger", type=Path)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--before", dest="variant", action="store_const", const="before", default="now")
    kind.add_argument("--single", dest="variant", action="store_const", const="single")
    asked = parser.parse_args()
    ledger = asked.ledger or test_home() / LEDGER
    try:
        count(test_home(), ledger, asked.variant, asked.boots)
    finally:
        print(words(ledger, asked.variant))


if __name__ == "__main__":
    main()
