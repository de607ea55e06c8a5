"""What a machine says that it is: a run of a QEMU machine names its version by it."""

from __future__ import annotations

import pytest

from lab.guest.linux import facts


@pytest.mark.parametrize(
    ("dmi", "told"),
    [
        ({"product_name": "Standard PC (Q35 + ICH9, 2009)\n", "product_version": "pc-q35-7.2\n"},
         "Standard PC (Q35 + ICH9, 2009) pc-q35-7.2"),
        ({"product_name": "t3.medium\n", "product_version": "\n"}, "t3.medium"),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_board_is_what_dmi_says(monkeypatch: pytest.MonkeyPatch, dmi: dict[str, str], told: str) -> None:
    monkeypatch.setattr(facts, "read", lambda path, default="": dmi.get(path.rpartition("/")[2], default))
    assert facts.facts()["board"] == told
