"""The heartbeat of a golden machine, as its host reads it: one JSON line a second on a virtio-serial port."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.guest.wire import WireError, load
from lab.machines import guest_answers
from lab.model import regular

PORT: Final = "lab.heartbeat"  # the port's name in the machine (playbooks/init/heartbeat.go)
TAIL_BYTES: Final = 4096
# The guest beats each second at the lowest priority; a busy host may delay it.
FRESH_S: Final = 15.0
GAP_MAX_S: Final = 4.0  # so that a machine that hung and was resumed is not given more time at its next hang


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One heartbeat: boot id, image id, uptime, whether SSH listens.

    age_s: since it arrived. gap_s: the longest silence between the heartbeats of this boot in the log.
    steady: it is not the first one, which comes while systemd starts and is the only one until that is done.
    """

    boot_id: str
    image_id: str
    uptime_s: float
    ssh: bool = False
    age_s: float = 0.0
    gap_s: float = 1.0
    steady: bool = False


def parse(line: bytes) -> Heartbeat | None:
    """One line as the guest sent it; None for anything but a whole, plausible heartbeat. Never raises."""
    try:
        beat = load(Heartbeat, line)
    except WireError:
        return None
    # only a golden image has an id
    plausible = guest_answers.is_name(beat.boot_id) and (not beat.image_id or guest_answers.is_name(beat.image_id))
    return beat if plausible and beat.uptime_s >= 0 else None


def last_beat(log: Path) -> Heartbeat | None:
    """The newest whole heartbeat at the end of the machine's log; None when there is none."""
    try:
        with regular.opened(log) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")
            age_s = max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)
    except OSError:
        return None
    # the rest after the last newline is still being written
    beats = [beat for line in lines[:-1] if (beat := parse(line)) is not None]
    if not beats:
        return None
    ups = [beat.uptime_s for beat in beats if beat.boot_id == beats[-1].boot_id]
    gap_s = max((later - earlier for earlier, later in itertools.pairwise(ups)), default=1.0)
    return replace(beats[-1], age_s=age_s, gap_s=min(max(1.0, gap_s), GAP_MAX_S), steady=len(ups) > 1)
