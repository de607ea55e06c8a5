"""Wait until a service is ready, else report why not: what it answers, where it listens, what it printed."""

from __future__ import annotations

import socket

from lab.guest.linux import loopback
from lab.guest.linux.child import Child
from lab.guest.linux.listeners import listening
from lab.guest.linux.procfs import session
from lab.guest.linux.waiting import until
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.wire import ServiceSpec

ANSWER_S = 2.0
EXCERPT = 120
FRAME_HEADER = 9  # HTTP/2: length (3 bytes), type, flags, stream
SETTINGS = 4


def wait_ready(context: RunContext, services: list[Child], port: int) -> None:
    """Wait until `port` answers as ready.path and ready.status require. Raises LifeFailed with the last answer."""
    spec = context.plan.service
    last = ""

    def outcome() -> str:
        nonlocal last
        last = _fault(spec, port)
        if not last:
            return "ready"
        ended = next((text for text in (child.ended() for child in services) if text), "")
        return ended or (last if last.startswith(HTTP2) else "")

    deadline_s = context.plan.timeouts.ready_s
    found = until(context.cancel, outcome, deadline_s)
    if found == "ready":
        return
    reasons = [found or "%s, for %g s" % (last, deadline_s)]
    elsewhere = _elsewhere(spec, services, port)
    if elsewhere and not found:
        reasons.append(elsewhere)
    reasons += [text for text in (child.last_words() for child in services) if text and text not in reasons[0]]
    raise LifeFailed("the service is not ready: " + "; ".join(reasons))


HTTP2 = "an HTTP/2 server without TLS answers"


def _fault(spec: ServiceSpec, port: int) -> str:
    """Why the service is not ready; "" when it is."""
    place = "port %s (127.0.0.1:%d)" % (spec.ready_port, port)
    try:
        socket.create_connection(("127.0.0.1", port), ANSWER_S).close()
    except OSError:
        return "nothing listens on %s" % place
    if not spec.ready_path:
        return ""
    answer = loopback.get(port, spec.ready_path, ANSWER_S)
    if answer is None:
        if _speaks_http2(port):
            return "%s on %s, as gRPC servers do: lab sends requests over HTTP/1.1 only" % (HTTP2, place)
        return "%s accepts connections but does not answer GET %s" % (place, spec.ready_path)
    status, _, body = answer
    if status in spec.ready_status or (not spec.ready_status and 200 <= status < 300):
        return ""
    wanted = ", ".join(str(code) for code in spec.ready_status) or "2xx"
    excerpt = " ".join(body[: 4 * EXCERPT].decode("utf-8", "replace").split())[:EXCERPT]
    text = "GET %s on %s answers %d, not %s (ready.status in service.yaml)"
    return text % (spec.ready_path, place, status, wanted) + (excerpt and ": " + excerpt)


def _speaks_http2(port: int) -> bool:
    """Whether the server sends a SETTINGS frame of stream 0 first."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
            connection.settimeout(ANSWER_S)
            head = b""
            while len(head) < FRAME_HEADER:
                more = connection.recv(FRAME_HEADER - len(head))
                if not more:
                    return False
                head += more
    except OSError:
        return False
    return int.from_bytes(head[:3], "big") % 6 == 0 and head[3] == SETTINGS and head[5:] == b"\0\0\0\0"


def _elsewhere(spec: ServiceSpec, services: list[Child], port: int) -> str:
    """Where the service listens, when not on the requested port."""
    places = listening([pid for child in services for pid in session(child.pid)])
    if any(place.rsplit(":", 1)[1] == str(port) for place in places):
        return ""
    if not places:
        return "it listens on no TCP port"
    text = "it listens on %s: does it take {port:%s} from its argv, env or files?"
    return text % (", ".join(places), spec.ready_port)
