"""What became of one request, by the status that the load generator has for it."""

from __future__ import annotations

from lab.guest.wire.plan import RequestSpec

# instead of an HTTP status
TIMEOUT = -1
NO_ANSWER = 0
_UNANSWERED = {TIMEOUT: "not answered in time", NO_ANSWER: "not answered: the connection failed"}


def as_wanted(request: RequestSpec, status: int) -> bool:
    """Whether the scenario expects this end of this request."""
    return request.expect_timeout if status == TIMEOUT else status in request.status


def unanswered(status: int) -> str:
    """How the request went without an answer; "" when there was one."""
    return _UNANSWERED.get(status, "")


def said(kind: str, status: int) -> str:
    """The end of a request of this type, as a sentence without a full stop."""
    why = unanswered(status)
    return "%s was %s" % (kind, why) if why else "%s answered %d" % (kind, status)
