"""`lab status` as text: what its help says that it shows."""

from __future__ import annotations

import pytest

from lab.machines import lifecycle
from lab.model.machine import Observed
from tests.unit.cli.conftest import Cli

WHOLE = {"image_id": "0123abcd+k9", "accel": "tcg", "kernel": "6.12.0"}


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (WHOLE, "m: running (up 9 s, image 0123abcd+k9, acceleration tcg, kernel 6.12.0)"),
        ({"accel": "none"}, "m: running (up 9 s, acceleration none)"),
        ({}, "m: running (up 9 s)"),
    ],
)
def test_a_machine_is_one_line_with_what_it_is(
    lab_cli: Cli, monkeypatch: pytest.MonkeyPatch, facts: dict[str, str], line: str
) -> None:
    seen = Observed(phase="running", alive=True, reason="up 9 s", **facts)  # type: ignore[arg-type]
    monkeypatch.setattr(lifecycle, "status", lambda *_: seen)
    assert lab_cli("status", "m").stdout == f"{line}\n"
    told = lab_cli("status", "--help").stdout
    assert [word for word in ("image", "acceleration", "kernel") if word not in told] == []
