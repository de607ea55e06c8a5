"""The signature of a span, independent of its instrumentation: (kind, family, target).

Four dialects are read: the OpenTelemetry SDK's wrappers (otelhttp, otelgrpc, otelsql), dd-trace-go over OTLP, and the
probes of the eBPF agent. Pure. A target that a dialect does not have is "" and matches any pattern, weakly.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lab.guest.wire import Span

METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT TRACE".split())
NO, WEAK, EXACT = 0, 1, 2

# calls on a connection that carry no statement, by the last part of otelsql's span name or dd-trace's query type
_SQL_STEPS = {
    "begin_tx": "BEGIN",
    "begin": "BEGIN",
    "commit": "COMMIT",
    "rollback": "ROLLBACK",
    "prepare": "PREPARE",
    "connect": "CONNECT",
    "ping": "PING",
    "rows": "ROWS",
    "reset_session": "RESET",
    "reset": "RESET",
    "close": "CLOSE",
}
_TABLE = re.compile(
    r"^\s*(?:(?:SELECT|DELETE)\b.*?\bFROM|(?:INSERT|REPLACE)\b.*?\bINTO|UPDATE(?:\s+OR\s+\w+)?"
    r"|(?:CREATE|DROP|ALTER)\s+(?:UNIQUE\s+)?\w+(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+[\"`\[]?([\w.]+)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Signature:
    """kind: server | client | internal | …; family: http | grpc | sql | other; target: see SpanNode.match."""

    kind: str
    family: str
    target: str

    def label(self) -> str:
        return "%s %s" % (self.kind, self.family)


def signature(span: Span) -> Signature:
    """Normalise one span."""
    family = _family(span)
    kind = span.kind
    attribute = _text(span.attributes, "span.kind")
    if kind in ("internal", "") and attribute in ("server", "client", "producer", "consumer"):
        kind = attribute
    target = {"http": _http, "grpc": _grpc, "sql": _sql}.get(family, _other)(span)
    return Signature(kind=kind, family=family, target=target)


@functools.lru_cache(maxsize=1 << 14)
def fits(sig: Signature, kind: str, family: str, match: str) -> int:
    """NO, WEAK (the span has no target) or EXACT against the pattern of a reference node."""
    if (kind not in ("*", sig.kind)) or (family not in ("*", sig.family)):
        return NO
    if match == "*":
        return EXACT
    if not sig.target:
        return WEAK
    return {"http": _fits_http, "grpc": _fits_grpc, "sql": _fits_sql}.get(sig.family, _fits_other)(sig.target, match)


# --- families --------------------------------------------------------------------------------------------------------


def _family(span: Span) -> str:
    keys = span.attributes
    scope = span.scope.lower()
    component = _text(keys, "component", "rpc.system", "rpc.system.name").lower()
    if "grpc" in scope or "grpc" in component or any(k.startswith("rpc.") for k in keys):
        return "grpc"
    if "database/sql" in scope or "otelsql" in scope or component == "database/sql":
        return "sql"
    if any(k in keys for k in ("db.system", "db.system.name", "db.query.text", "db.statement", "sql.query_type")):
        return "sql"
    if "net/http" in scope or component == "net/http":
        return "http"
    if any(k in keys for k in ("http.request.method", "http.method", "http.url", "url.full")):
        return "http"
    return "sql" if span.name.startswith("sql.") else "other"


def _text(attributes: dict[str, Any], *names: str) -> str:
    for name in names:
        value = attributes.get(name)
        if value not in (None, ""):
            return str(value)
    return ""


def _http(span: Span) -> str:
    keys = span.attributes
    method = _text(keys, "http.request.method", "http.method").upper()
    path = _text(keys, "url.path", "http.target")
    if not path:
        url = _text(keys, "url.full", "http.url")
        path = urlsplit(url).path if url else ""
    if not path:
        path = _text(keys, "http.route").split(" ")[-1]
    for name in (span.name, _text(keys, "resource.name")):
        words = name.split(" ")
        if words[0] in METHODS:
            method = method or words[0]
            if len(words) == 2 and words[1].startswith("/"):
                path = path or words[1]
    path = path.split("?")[0]
    return ("%s %s" % (method, path)).strip()


def _grpc(span: Span) -> str:
    service, method = _text(span.attributes, "rpc.service"), _text(span.attributes, "rpc.method")
    whole = _text(span.attributes, "rpc.grpc.full_method", "grpc.method.name", "resource.name")
    for name in (whole, method, service, span.name):
        if "/" in name:
            return name.strip("/")
    if service and method:
        return "%s/%s" % (service, method)
    return ""


def _sql(span: Span) -> str:
    keys = span.attributes
    step = _SQL_STEPS.get(span.name.rsplit(".", 1)[-1].lower()) if span.name.startswith("sql.") else None
    step = step or _SQL_STEPS.get(_text(keys, "sql.query_type").lower())
    if step:
        return step
    query = _text(keys, "db.query.text", "db.statement")
    if not query and "sql.query_type" in keys:
        query = _text(keys, "resource.name")
    if query:
        return statement(query)
    verb = _text(keys, "db.operation.name", "db.operation")
    table = _text(keys, "db.collection.name", "db.sql.table")
    return ("%s %s" % (verb.upper(), table.lower())).strip()


def statement(query: str) -> str:
    """ "VERB table" of one SQL statement; the verb alone where no table is found."""
    words = query.split(None, 1)
    if not words:
        return ""
    found = _TABLE.match(query)
    return ("%s %s" % (words[0].upper().rstrip(";"), found.group(1).lower() if found else "")).strip()


def _other(span: Span) -> str:
    return span.name


# --- patterns --------------------------------------------------------------------------------------------------------


def _fits_http(target: str, match: str) -> int:
    method, _, path = target.partition(" ")
    want_method, _, want_path = match.partition(" ")
    if want_method not in ("*", method):
        return NO
    if not path:
        return WEAK
    if want_path == "*":
        return EXACT
    have, want = path.strip("/").split("/"), want_path.strip("/").split("/")
    if len(have) != len(want):
        return NO
    return EXACT if all(_hole(w) or _hole(h) or h == w for h, w in zip(have, want)) else NO


def _hole(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _fits_grpc(target: str, match: str) -> int:
    return EXACT if target == match.strip("/") else NO


def _fits_sql(target: str, match: str) -> int:
    verb, _, table = target.partition(" ")
    want_verb, _, want_table = match.partition(" ")
    if verb.upper() != want_verb.upper():
        return NO
    if not want_table:
        return EXACT
    if not table:
        return WEAK
    return EXACT if table.lower() == want_table.lower() else NO


def _fits_other(target: str, match: str) -> int:
    return EXACT if target == match else NO
