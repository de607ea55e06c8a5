"""Live events cross the seam whole, each under a kind of its own."""

from __future__ import annotations

import json
import typing

import pytest

from lab.guest.wire import Span, WireError, live


def test_every_event_has_one_kind() -> None:
    assert set(live.LIVE_KINDS.values()) == set(typing.get_args(live.LiveEvent))
    assert len(set(live.LIVE_KINDS.values())) == len(live.LIVE_KINDS)


def test_an_event_is_the_same_after_json() -> None:
    span = Span("t", "s", "", "server", "GET /", "net/http", "shop", 1, 2, 3, "ok", {"http.route": "/"})
    event = live.SpanSeen(order="o", at_ns=5, form="ebpf", span=span)
    text = json.dumps(live.live_to_json(event))
    assert live.live_from_json(**json.loads(text)) == event


@pytest.mark.parametrize(
    ("kind", "data", "place"),
    [("cell", {}, "kind"), ("attached", {"order": "o", "at_ns": 1, "form": "x", "agent_of": ""}, "attach_s")],
)
def test_what_is_no_event_is_refused_by_its_place(kind: str, data: dict[str, object], place: str) -> None:
    with pytest.raises(WireError) as error:
        live.live_from_json(kind, data)
    assert error.value.key == place
