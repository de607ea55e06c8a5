"""Plain lines on stderr, for pipes, CI logs and screen readers: start and end of every step, a heartbeat between."""

from __future__ import annotations

import sys
import threading
import time
from typing import Final, Self, TextIO

from lab.model.events import (
    CheckDone,
    GuestEvent,
    Notice,
    Output,
    Progress,
    Record,
    StepFinished,
    StepStarted,
)
from lab.model.figures import seconds
from lab.render import wording

HEARTBEAT_S: Final = 10.0
LEFT_MIN_S: Final = 10.0  # a shorter time is over before it is read
MARKS: Final = {"done": "ok", "skipped": "already", "failed": "FAILED", "interrupted": "stopped"}


class Plain:
    """One line for each event of interest; with `quiet` only warnings and failures."""

    def __init__(self, *, verbose: bool = False, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._verbose = verbose
        self._quiet = quiet
        self._stream = stream or sys.stderr
        self._began = time.monotonic()
        self._running: dict[int, tuple[str, float]] = {}
        self._progress: dict[int, str] = {}
        self._lock = threading.Lock()
        self._last = self._began
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._heartbeat, daemon=True)

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def __call__(self, record: Record) -> None:
        with self._lock:
            text = self._line(record)
            if text:
                self._say(text)

    def _line(self, record: Record) -> str:
        event = record.event
        match event:
            case StepStarted():
                self._running[record.step] = (event.title, time.monotonic())
                count = f"[{event.index}/{event.of}] " if event.index and event.of else ""
                return "" if self._quiet else f"{count}{event.title} …"
            case StepFinished():
                return self._finished(record.step, event)
            case Progress():
                self._progress[record.step] = wording.progress(event) + self._left(record.step, event)
                return ""
            case Output():
                return f"  | {event.text}" if self._verbose else ""
            case Notice():
                return "" if self._quiet and event.level == "info" else f"{event.level}: {event.text}"
            case CheckDone():
                if event.verdict == "ok":
                    return f"  ok    {event.name}: {event.message}" if self._verbose else ""
                return f"  {event.verdict}  {event.name}: {event.message}" + (
                    f" — fix: {event.fix}" if event.fix else ""
                )
            case GuestEvent():
                text = wording.guest(event)
                return "" if self._quiet or not text else f"  {text}"

    def _left(self, step: int, event: Progress) -> str:
        """The time that is left at the pace so far, once there is one."""
        _, since = self._running.get(step, ("", time.monotonic()))
        if not event.total or not 0 < event.done < event.total:
            return ""
        left_s = (time.monotonic() - since) / event.done * (event.total - event.done)
        return f", about {seconds(left_s)} left" if left_s >= LEFT_MIN_S else ""

    def _finished(self, step: int, event: StepFinished) -> str:
        title, _ = self._running.pop(step, (event.name, 0.0))
        self._progress.pop(step, None)
        if self._quiet and event.outcome in ("done", "skipped"):
            return ""
        note = f" — {event.message}" if event.message else ""
        return f"{title}: {MARKS[event.outcome]} ({seconds(event.seconds)}){note}"

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        print(f"[{self._last - self._began:7.1f}s] {text}", file=self._stream, flush=True)

    def _heartbeat(self) -> None:
        while not self._stop.wait(1.0):
            with self._lock:
                if time.monotonic() - self._last < HEARTBEAT_S or not self._running:
                    continue
                step, (title, since) = list(self._running.items())[-1]
                done = self._progress.get(step, "")
                self._say(f"… {title}: {seconds(time.monotonic() - since)}{', ' + done if done else ''}")
