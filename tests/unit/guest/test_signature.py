from __future__ import annotations

from typing import Any

import pytest

from lab.guest.scoring.signature import EXACT, NO, WEAK, Signature, fits, signature, statement
from tests.unit.guest.spans import recorded, span

OTELHTTP = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
OTELSQL = "github.com/XSAM/otelsql"
AUTO = "go.opentelemetry.io/auto/"

# (name, kind, scope, attributes) -> (kind, family, target)
DIALECTS: list[tuple[str, str, str, dict[str, Any], tuple[str, str, str]]] = [
    (
        "HTTP GET",
        "client",
        OTELHTTP,
        {"url.full": "http://h:1/a/27?x=1", "http.request.method": "GET"},
        ("client", "http", "GET /a/27"),
    ),
    ("GET /events/{id}", "server", OTELHTTP, {}, ("server", "http", "GET /events/{id}")),
    ("sql.conn.begin_tx", "client", OTELSQL, {}, ("client", "sql", "BEGIN")),
    (
        "sql.conn.prepare",
        "client",
        OTELSQL,
        {"db.query.text": "INSERT INTO o VALUES (?)"},
        ("client", "sql", "PREPARE"),
    ),
    ("sql.stmt.exec", "client", OTELSQL, {"db.query.text": "INSERT INTO o VALUES (?)"}, ("client", "sql", "INSERT o")),
    # dd-trace-go v2.9.2 over OTLP: the resource is the span's name, the kind is reported twice
    (
        "GET /events/{id}",
        "server",
        "",
        {"component": "net/http", "http.url": "http://h:1/events/3", "http.method": "GET"},
        ("server", "http", "GET /events/3"),
    ),
    (
        "SELECT a FROM b",
        "internal",
        "",
        {
            "component": "database/sql",
            "span.kind": "client",
            "sql.query_type": "Query",
            "resource.name": "SELECT a FROM b",
        },
        ("client", "sql", "SELECT b"),
    ),
    (
        "Begin",
        "client",
        "",
        {"component": "database/sql", "sql.query_type": "Begin", "resource.name": "Begin"},
        ("client", "sql", "BEGIN"),
    ),
    (
        "/shop.Pricing/Quote",
        "client",
        "",
        {"component": "google.golang.org/grpc", "resource.name": "/shop.Pricing/Quote"},
        ("client", "grpc", "shop.Pricing/Quote"),
    ),
    # the eBPF agent, go.opentelemetry.io/auto v0.24.0
    (
        "/shop.Pricing/Quote",
        "server",
        AUTO + "google.golang.org/grpc",
        {"rpc.service": "/shop.Pricing/Quote"},
        ("server", "grpc", "shop.Pricing/Quote"),
    ),
    ("DB", "client", AUTO + "database/sql", {}, ("client", "sql", "")),
    (
        "SELECT events",
        "client",
        AUTO + "database/sql",
        {"db.operation.name": "SELECT", "db.collection.name": "events"},
        ("client", "sql", "SELECT events"),
    ),
    ("work", "internal", "shop", {}, ("internal", "other", "work")),
]


@pytest.mark.parametrize(("name", "kind", "scope", "attributes", "wanted"), DIALECTS)
def test_every_dialect_is_read(
    name: str, kind: str, scope: str, attributes: dict[str, Any], wanted: tuple[str, str, str]
) -> None:
    found = signature(span(name, kind, scope=scope, attributes=attributes))
    assert (found.kind, found.family, found.target) == wanted


def test_recorded_checkout_of_two_forms_reads_alike() -> None:
    woven = {signature(s) for s in recorded("orchestrion-otel")["checkout"].spans}
    agent = {signature(s) for s in recorded("ebpf-lockdown")["checkout"].spans}
    families = {(s.kind, s.family, s.target.split("/")[0]) for s in woven}
    assert {(s.kind, s.family, s.target.split("/")[0]) for s in agent} < families
    assert Signature("client", "sql", "UPDATE stock") in woven & agent


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("SELECT a, b FROM events JOIN venues ON 1", "SELECT events"),
        ("  select 1", "SELECT"),
        ('INSERT INTO "orders" (a) VALUES (?)', "INSERT orders"),
        ("UPDATE stock SET a = 1", "UPDATE stock"),
        ("DELETE\nFROM x.y WHERE 1", "DELETE x.y"),
        ("CREATE TABLE IF NOT EXISTS t (a)", "CREATE t"),
        ("", ""),
    ],
)
def test_statements(query: str, target: str) -> None:
    assert statement(query) == target


@pytest.mark.parametrize(
    ("sig", "match", "strength"),
    [
        (("server", "http", "GET /events/3"), "GET /events/{id}", EXACT),
        (("server", "http", "GET /events/{n}"), "GET /events/{id}", EXACT),
        (("server", "http", "GET /events"), "GET /events/{id}", NO),
        (("server", "http", "POST /events/3"), "GET /events/{id}", NO),
        (("server", "http", "GET"), "GET /events/{id}", WEAK),
        (("server", "grpc", "shop.Pricing/Quote"), "shop.Pricing/Quote", EXACT),
        (("server", "grpc", "shop.Pricing/Quote"), "shop.Pricing/PriceList", NO),
        (("server", "sql", "SELECT events"), "SELECT", EXACT),
        (("server", "sql", "SELECT events"), "SELECT Events", EXACT),
        (("server", "sql", "SELECT venues"), "SELECT events", NO),
        (("server", "sql", "SELECT"), "SELECT events", WEAK),
        (("server", "sql", ""), "SELECT", WEAK),
        (("server", "sql", "BEGIN"), "*", EXACT),
    ],
)
def test_patterns(sig: tuple[str, str, str], match: str, strength: int) -> None:
    assert fits(Signature(*sig), "server", sig[1], match) == strength
    assert fits(Signature(*sig), "client", sig[1], match) == NO
