"""Inspects a machine over one short SSH session, for providers whose own status has no boot id."""

from __future__ import annotations

from typing import Final

from lab.machines import guest_answers
from lab.model.errors import LabError, SecurityStop
from lab.model.lab import Lab
from lab.model.machine import Observed, SshEndpoint
from lab.remote import connect
from lab.system.wait import Deadline

BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
ASK_S: Final = 20.0


def observed(lab: Lab, endpoint: SshEndpoint, *, image_id: str = "", accel: str = "") -> Observed:
    """Running and alive with its boot id when the login succeeds, else running, not alive, with the reason.

    Raises SecurityStop when its host key is not the pinned one. Changes nothing.
    """
    try:
        with connect(lab, endpoint, Deadline.after(ASK_S, lab.cancel)) as link:
            result = link.run(["cat", BOOT_ID], Deadline.after(ASK_S, lab.cancel), max_output=guest_answers.MOST_BYTES)
            boot_id = guest_answers.name(result.text(), "boot id")
    except SecurityStop:
        raise
    except LabError as error:
        return Observed(phase="running", alive=False, reason=error.message, endpoint=endpoint, image_id=image_id)
    return Observed(
        phase="running",
        alive=True,
        reason="SSH answers",
        endpoint=endpoint,
        boot_id=boot_id,
        image_id=image_id,
        accel=accel,
        listens=True,
    )
