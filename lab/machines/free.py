"""A machine that hangs made to go on as it is, where its provider can do that."""

from __future__ import annotations

from lab.machines import journal
from lab.machines.hang import Hung
from lab.machines.providers.base import FreesHung, Provider
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Handle


def freed(lab: Lab, provider: Provider, handle: Handle, hung: Hung) -> bool:
    """Whether it goes on now, which is reported: nothing is lost but the time."""
    if not isinstance(provider, FreesHung):
        return False
    with journal.entry(lab, handle.name, "up", "free"):
        goes_on = provider.free(handle)
    if goes_on:
        text = f"{hung.message}. QEMU was made to translate its code again, and it goes on: nothing in it is lost"
        lab.bus.emit(Notice(level="warning", text=text))
    return goes_on
