"""Events as plain data: a closed union inside a `Record`. The flows emit them; sinks display and log them.

A step's events are Started, then any Output/Progress/Notice, then exactly one Finished. Nested steps name their parent.
A replay of the log through the same renderer gives the same screen.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from lab.guest.wire import Count, WireError, decode, shown
from lab.model.errors import Cancelled, LabError

Outcome = Literal["done", "skipped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step began. index, of: its number among several."""

    name: str
    title: str
    index: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """The end of a step. `fix` only on the innermost failed step."""

    name: str
    outcome: Outcome
    seconds: float
    message: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a step: `done` of `total` in `unit` ("bytes", "cells", "requests", …)."""

    name: str
    done: float
    total: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A line printed by a tool that a step runs."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to the user that is not the result of a step."""

    level: Literal["info", "warning"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDone:
    """One doctor check or one proof. `fix` is empty when ok."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEvent:
    """An event of the guest half (see lab.guest.wire.GuestRecord); `data` as received."""

    kind: str
    at_ns: int
    data: dict[str, Any]


Event = StepStarted | StepFinished | Progress | Output | Notice | CheckDone | GuestEvent
_KINDS: dict[str, type[Any]] = {
    cls.__name__: cls for cls in (StepStarted, StepFinished, Progress, Output, Notice, CheckDone, GuestEvent)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event with its context: (source, boot, seq) is its identity; `at` is UTC seconds; `step` encloses it."""

    seq: int
    at: float
    step: int
    parent: int
    event: Event
    source: str = "host"
    boot: str = ""

    def to_json(self) -> dict[str, Any]:
        body = dataclasses.asdict(self.event)
        head = {"seq": self.seq, "at": self.at, "step": self.step, "parent": self.parent, "source": self.source}
        return {**head, "boot": self.boot, "event": type(self.event).__name__, "data": body}

    @staticmethod
    def from_json(doc: object) -> Record:
        """The inverse of `to_json`. Raises WireError."""
        line = decode(_Line, doc)
        kind = _KINDS.get(line.event)
        if kind is None:
            raise WireError(f"one of {', '.join(_KINDS)} is expected, not {shown(line.event)}").inside("event")
        try:
            event = decode(kind, line.data)
        except WireError as error:
            raise error.inside("data") from None
        return Record(
            seq=line.seq,
            at=line.at,
            step=line.step,
            parent=line.parent,
            source=line.source,
            boot=line.boot,
            event=event,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A Record in JSON: the name of its event and the fields of that event."""

    seq: Count
    at: float
    step: Count
    parent: Count
    event: str
    data: dict[str, Any]
    source: str = "host"
    boot: str = ""


Sink = Callable[[Record], None]


class Bus:
    """Numbers events and passes each to every sink, in order, from any thread. An exception of a sink is a bug."""

    def __init__(self, sinks: tuple[Sink, ...] = ()) -> None:
        self._sinks = list(sinks)
        self._seq = 0
        self._steps = 0
        self._lock = threading.Lock()
        self._local = threading.local()

    def add(self, sink: Sink) -> None:
        self._sinks.append(sink)

    def emit(self, event: Event) -> None:
        step, parent = self._here()
        self._send(event, step, parent)

    @contextmanager
    def step(self, name: str, title: str, *, index: int | None = None, of: int | None = None) -> Iterator[StepHandle]:
        """Run a block as a step; an exception marks it failed (or interrupted) and is raised again."""
        stack: list[int] = self._stack()
        with self._lock:
            self._steps += 1
            ident = self._steps
        parent = stack[-1] if stack else 0
        stack.append(ident)
        began = time.monotonic()
        handle = StepHandle()
        self._send(StepStarted(name=name, title=title, index=index, of=of), ident, parent)
        try:
            yield handle
        except BaseException as error:
            self._send(_failed(name, error, time.monotonic() - began), ident, parent)
            raise
        else:
            seconds = time.monotonic() - began
            done = StepFinished(name=name, outcome=handle.outcome, seconds=seconds, message=handle.message)
            self._send(done, ident, parent)
        finally:
            stack.pop()

    def _stack(self) -> list[int]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[int] = self._local.stack
        return stack

    def _here(self) -> tuple[int, int]:
        stack = self._stack()
        return (stack[-1] if stack else 0), (stack[-2] if len(stack) > 1 else 0)

    def _send(self, event: Event, step: int, parent: int) -> None:
        with self._lock:
            self._seq += 1
            record = Record(seq=self._seq, at=time.time(), step=step, parent=parent, event=event)
            for sink in self._sinks:
                sink(record)


class StepHandle:
    """Sets the result of a step: `skip("already ready")`, `say("7.1 s")`, or `fail(why)` without an exception."""

    def __init__(self) -> None:
        self.outcome: Outcome = "done"
        self.message = ""

    def skip(self, message: str) -> None:
        self.outcome = "skipped"
        self.message = message

    def say(self, message: str) -> None:
        self.message = message

    def fail(self, message: str) -> None:
        self.outcome = "failed"
        self.message = message


def _failed(name: str, error: BaseException, seconds: float) -> StepFinished:
    stopped = isinstance(error, KeyboardInterrupt | Cancelled)
    message, fix = str(error), ""
    if isinstance(error, LabError):
        # only the innermost step reports message and fix
        message, fix = ("", "") if error.told else (message, error.fix)
        error.told = error.told or not stopped
    return StepFinished(
        name=name, outcome="interrupted" if stopped else "failed", seconds=seconds, message=message, fix=fix
    )
