"""The span sink: a child process with three HTTP routes."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.guest.linux import loopback
from lab.guest.linux.child import Child
from lab.guest.linux.line_stream import LineStream
from lab.guest.linux.waiting import until
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.wire import Span, WireError, decode

STREAM_S = 5.0


@dataclass
class Sink:
    """A running sink, and the file that it writes to now."""

    child: Child
    port: int
    file: Path

    @property
    def url(self) -> str:
        return "http://127.0.0.1:%d" % self.port

    def count(self) -> int | None:
        """Spans since the last rotation; None when it does not answer."""
        stats = loopback.get_json(self.port, "/stats")
        return None if stats is None else int(stats.get("spans", 0))

    def refused(self) -> int:
        stats = loopback.get_json(self.port, "/stats") or {}
        return int(stats.get("bad_posts", 0)) + int(stats.get("dropped", 0))

    def spans(self) -> LineStream:
        """Spans from now on, each as it arrives. Raises LifeFailed."""
        head = b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), STREAM_S) as link:
                link.sendall(b"GET /spans HTTP/1.0\r\n\r\n")  # 1.0: lines, not chunks
                while b"\r\n\r\n" not in head:
                    more = link.recv(4096)
                    if not more:
                        raise OSError("it closed the connection")
                    head += more
                if not head.split(b" ", 2)[1:2] == [b"200"]:
                    raise OSError(head.split(b"\r\n", 1)[0].decode("utf-8", "replace"))
                return LineStream(link.detach(), head.split(b"\r\n\r\n", 1)[1])
        except OSError as error:
            raise LifeFailed("the span sink does not stream its spans: %s" % error) from error

    def rotate(self, out: Path) -> bool:
        """Close the current file and continue in `out`; False without an answer."""
        if loopback.post_json(self.port, "/rotate", {"out": str(out)}) is None:
            return False
        self.file = out
        return True


def start_sink(context: RunContext, work: Path, first_file: Path) -> Sink:
    """Start it on a free port. Raises LifeFailed."""
    argv = [context.artifact(context.plan.tools.sink), "--listen", "127.0.0.1:0", "--out", str(first_file)]
    child = context.children.spawn("sink", "sink", argv, context.env(work, {}), work, cpus=context.plan.layout.tools)
    found = until(context.cancel, lambda: child.lines() or child.ended(), context.plan.timeouts.ready_s)
    if not isinstance(found, list):
        raise LifeFailed("the span sink did not start: %s: %s" % (found or "no output", child.said().strip()))
    port = int(str(json.loads(found[0])["listening"]).rsplit(":", 1)[1])
    return Sink(child=child, port=port, file=first_file)


def still(context: RunContext, sink: Sink, quiet_s: float, deadline_s: float) -> bool:
    """Wait until the span count has not moved for `quiet_s`."""
    last, since = sink.count(), time.monotonic()

    def quiet() -> str:
        nonlocal last, since
        if sink.child.ended():
            return "gone"
        count = sink.count()
        if count is None or count != last:
            last, since = count, time.monotonic()
        return "still" if time.monotonic() - since >= quiet_s else ""

    return until(context.cancel, quiet, deadline_s, min(0.5, max(0.05, quiet_s / 10))) == "still"


def lines(path: Path) -> int:
    """How many spans one file holds, whatever they are: reading them is dear where every instruction is emulated."""
    try:
        with gzip.open(path, "rb") as file:
            return sum(1 for _ in file)
    except (OSError, EOFError, zlib.error):
        return 0


def read_spans(path: Path, wanted: Callable[[Span], bool] | None = None) -> Iterator[Span]:
    """Spans of one file; stops silently at a truncated end (the sink was killed), which the gates report."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                span = decode(Span, json.loads(line))
                if wanted is None or wanted(span):
                    yield span
    except (OSError, EOFError, zlib.error, ValueError, WireError):
        return
