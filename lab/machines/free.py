"""Resumes a hung machine without a restart, where its provider supports that."""

from __future__ import annotations

from lab.machines import journal
from lab.machines.hang import Hung
from lab.machines.providers.base import FreesHung, Provider
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Handle


def freed(lab: Lab, provider: Provider, handle: Handle, hung: Hung) -> bool:
    """Whether the machine runs again; if so, emits a notice. Nothing but time is lost."""
    if not isinstance(provider, FreesHung):
        return False
    with journal.entry(lab, handle.name, "up", "free"):
        resumed = provider.free(handle)
    if resumed:
        text = f"{hung.message}; QEMU translated its code again and the machine continues, nothing in it is lost"
        lab.bus.emit(Notice(level="warning", text=text))
    return resumed
