"""The program that asks for an address in a golden machine under Vagrant: its messages, byte by byte."""

from __future__ import annotations

import ast
import runpy
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

PROGRAM = ROOT / "vagrant/dhcp.py"
MAC = bytes.fromhex("525400d3608b")


@pytest.fixture(scope="module")
def dhcp() -> dict[str, Any]:
    return runpy.run_path(str(PROGRAM))


def answer(kind: int, transaction: int, *options: bytes) -> bytes:
    """A server's answer as RFC 2131 lays it out."""
    head = struct.pack("!BBBBIHH", 2, 1, 6, 0, transaction, 0, 0x8000) + bytes(4) + bytes([10, 130, 7, 7]) + bytes(8)
    body = head + MAC.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind])
    return body + b"".join(options) + b"\xff"


def test_a_request_is_what_a_server_reads(dhcp: dict[str, Any]) -> None:
    sent = dhcp["message"](3, 0x1234, MAC, {50: bytes([10, 130, 7, 7])})
    assert len(sent) >= 240
    assert sent[:4] == bytes([1, 1, 6, 0])
    assert sent[4:8] == bytes([0, 0, 0x12, 0x34])
    assert sent[10:12] == b"\x80\x00", "answers come as broadcasts: we have no address yet"
    assert sent[28:34] == MAC
    assert sent[236:] == b"\x63\x82\x53\x63" + bytes([53, 1, 3, 50, 4, 10, 130, 7, 7, 255])


def test_an_answer_is_read_with_its_options(dhcp: dict[str, Any]) -> None:
    options = bytes([0, 0]) + bytes([1, 4, 255, 255, 255, 0]) + bytes([51, 4, 0, 0, 14, 16])
    address, found = dhcp["parse"](answer(2, 7, options), 7)
    assert address == bytes([10, 130, 7, 7])
    assert found == {53: b"\x02", 1: b"\xff\xff\xff\x00", 51: b"\x00\x00\x0e\x10"}


@pytest.mark.parametrize("data", [b"", b"x" * 300, answer(2, 8), answer(2, 7)[:200]])
def test_what_is_no_answer_to_us_is_passed_over(dhcp: dict[str, Any], data: bytes) -> None:
    assert dhcp["parse"](data, 7) is None


def test_an_answer_that_is_cut_does_no_harm(dhcp: dict[str, Any]) -> None:
    whole = answer(5, 7, bytes([51, 4, 0, 0, 14, 16]))
    for length in range(240, len(whole)):
        dhcp["parse"](whole[:length], 7)


def test_it_runs_on_a_machine_with_an_older_python() -> None:
    ast.parse(Path(PROGRAM).read_text(encoding="utf-8"), feature_version=(3, 9))
