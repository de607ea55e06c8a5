"""`lab rehearse` without keys: nobody looks at a page, unless one is asked for."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cli

SHOW = """
schema: 1
title: T
beats:
  - {{id: one, kind: command, title: One, else: stop, argv: [{python}, -c, "{asks}"]}}
"""
ASKS = "import socket; socket.create_connection(('127.0.0.1', {port})); print('a page', 'is there')"


@pytest.mark.parametrize("asked", [True, False])
def test_the_page_is_served_where_its_port_is_given(
    lab_cli: Cli, monkeypatch: pytest.MonkeyPatch, *, asked: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    Path("s.yaml").write_text(SHOW.format(python=sys.executable, asks=ASKS.format(port=port)))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    done = lab_cli("rehearse", "s.yaml", "-n", "1", *(["--port", str(port)] if asked else []))
    assert done.code == (0 if asked else 6), done.stderr
    assert ("a page is there" in done.stdout) is asked
    assert (f"the page is http://127.0.0.1:{port}" in done.stdout) is asked
