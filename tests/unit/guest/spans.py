"""Spans and references for these tests: recorded ones, and short hands to make more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.guest.wire import CanaryRequest, Span, SpanNode, decode

RECORDED = Path(__file__).parent / "recorded"

REFERENCE: dict[str, tuple[SpanNode, ...]] = {
    "browse": (
        SpanNode(id="gateway", kind="server", family="http", match="GET /events"),
        SpanNode(id="call-catalog", parent="gateway", kind="client", family="http", match="GET /catalog/events"),
        SpanNode(id="catalog", parent="call-catalog", kind="server", family="http", match="GET /catalog/events"),
        SpanNode(id="select-page", parent="catalog", kind="client", family="sql", match="SELECT"),
    ),
    "checkout": (
        SpanNode(id="gateway", kind="server", family="http", match="POST /checkout"),
        SpanNode(id="call-catalog", parent="gateway", kind="client", family="http", match="GET /catalog/events/{id}"),
        SpanNode(id="catalog", parent="call-catalog", kind="server", family="http", match="GET /catalog/events/{id}"),
        SpanNode(id="select-event", parent="catalog", kind="client", family="sql", match="SELECT"),
        SpanNode(id="call-quote", parent="gateway", kind="client", family="grpc", match="shop.Pricing/Quote"),
        SpanNode(id="quote", parent="call-quote", kind="server", family="grpc", match="shop.Pricing/Quote"),
        SpanNode(id="call-place", parent="gateway", kind="client", family="grpc", match="shop.Orders/Place"),
        SpanNode(id="place", parent="call-place", kind="server", family="grpc", match="shop.Orders/Place"),
        SpanNode(id="take-tickets", parent="place", kind="client", family="sql", match="UPDATE"),
        SpanNode(id="insert-order", parent="place", kind="client", family="sql", match="INSERT"),
    ),
}


def recorded(form: str) -> dict[str, CanaryRequest]:
    """Canary requests of a real run, by type."""
    docs = json.loads((RECORDED / f"canary-{form}.json").read_text())
    return {doc["type"]: decode(CanaryRequest, doc) for doc in docs}


def span(name: str, kind: str, *, scope: str = "", ident: str = "a", parent: str = "", **more: Any) -> Span:
    """One span; `attributes`, `trace_id` and `start_ns` as given."""
    fields: dict[str, Any] = {
        "trace_id": "t1",
        "span_id": ident,
        "parent_id": parent,
        "kind": kind,
        "name": name,
        "scope": scope,
        "service": "shop",
        "start_ns": 0,
        "end_ns": 1,
        "received_ns": 2,
    }
    return Span(**{**fields, **more})


def http(ident: str, kind: str, target: str, parent: str = "", **more: Any) -> Span:
    method, path = target.split(" ")
    attributes = {"http.request.method": method, "url.path": path}
    return span(method, kind, ident=ident, parent=parent, attributes=attributes, **more)
