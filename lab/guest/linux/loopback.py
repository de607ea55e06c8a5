"""HTTP on 127.0.0.1, without proxies."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any


def get(port: int, path: str, timeout_s: float = 5.0) -> tuple[int, Mapping[str, str], bytes] | None:
    """Status, headers, body; None without an answer."""
    return _ask("GET", port, path, None, timeout_s)


def get_json(port: int, path: str, timeout_s: float = 5.0) -> dict[str, Any] | None:
    return _document(get(port, path, timeout_s))


def post_json(port: int, path: str, doc: Any, timeout_s: float = 10.0) -> dict[str, Any] | None:
    """The document of the answer; None without an answer or with another status than 200."""
    return _document(_ask("POST", port, path, json.dumps(doc).encode(), timeout_s))


def _document(answer: tuple[int, Mapping[str, str], bytes] | None) -> dict[str, Any] | None:
    if answer is None or answer[0] != 200:
        return None
    try:
        doc = json.loads(answer[2])
    except ValueError:
        return None
    return doc if isinstance(doc, dict) else None


def _ask(
    method: str, port: int, path: str, body: bytes | None, timeout_s: float
) -> tuple[int, Mapping[str, str], bytes] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()
