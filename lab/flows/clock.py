"""The machine's clock against this host's."""

from __future__ import annotations

import time

from lab.guest.wire import WireError, load
from lab.model.errors import DemoError
from lab.remote.base import Transport
from lab.runs import drive
from lab.system.wait import Deadline


def behind_s(transport: Transport, deadline: Deadline) -> float:
    """How far the machine's clock is behind this host's."""
    before = time.time()
    output = transport.run(["date", "+%s.%N"], deadline, max_output=drive.MAX_FACT).text()[: drive.MAX_FACT].strip()
    try:
        clock_s = load(float, output)
    except WireError as error:
        raise DemoError(f"cannot read the machine's clock: {error}", fix="lab doctor") from error
    return (before + time.time()) / 2 - clock_s
