"""Records as a bus would number them, for the views."""

from __future__ import annotations

from lab.model.events import (
    CheckDone,
    Event,
    GuestEvent,
    Notice,
    Output,
    Progress,
    Record,
    StepFinished,
    StepStarted,
)


def record(event: Event, *, step: int = 1, parent: int = 0, seq: int = 1) -> Record:
    """One event with its place."""
    return Record(seq=seq, at=1.5, step=step, parent=parent, event=event)


def story() -> list[Record]:
    """A step with a part that fails, and everything that can be said on the way."""
    cell = {"id": "0-0-ebpf", "valid": False, "reasons": ["late [sends]"]}
    return [
        record(StepStarted(name="demo", title="demo [shop]", index=1, of=2), step=1, seq=1),
        record(StepStarted(name="bake", title="bake the image"), step=2, parent=1, seq=2),
        record(Progress(name="bake", done=3 << 20, total=190 << 20, unit="bytes"), step=2, parent=1, seq=3),
        record(Output(text="unpacking [bold]"), step=2, parent=1, seq=4),
        record(Notice(level="info", text="from the cache"), step=2, parent=1, seq=5),
        record(Notice(level="warning", text="no [kvm]"), step=2, parent=1, seq=6),
        record(CheckDone(name="disk", verdict="ok", message="enough"), step=2, parent=1, seq=7),
        record(CheckDone(name="qemu", verdict="fail", message="missing", fix="apt [x]"), step=2, parent=1, seq=8),
        record(GuestEvent(kind="cell", at_ns=1, data=cell), step=2, parent=1, seq=9),
        record(GuestEvent(kind="sample", at_ns=2, data={"cpu": 1}), step=2, parent=1, seq=10),
        record(StepFinished(name="bake", outcome="done", seconds=185.4, message="kept"), step=2, parent=1, seq=11),
        record(StepFinished(name="demo", outcome="failed", seconds=7.06, message="no [run]"), step=1, seq=12),
    ]
