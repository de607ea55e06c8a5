"""`lab cache keys`: of a demo, or of a show's rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.flows import cache
from lab.flows.cache import CacheKey
from lab.flows.request import DemoRequest
from lab.model.lab import Lab
from tests.unit.cli.conftest import Cli

SHOW = """
schema: 1
title: T
forms: [ebpf]
beats:
  - {id: ask, kind: request, title: Ask}
"""


def test_the_keys_of_a_show_are_those_of_its_forms_and_controls(
    lab_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(_: Lab, asked: DemoRequest) -> list[CacheKey]:
        return [CacheKey(path=form.name, what="", there=False) for form in asked.forms]

    monkeypatch.setattr(cache, "keys", keys)
    (tmp_path / "s.yaml").write_text(SHOW)
    of_show = lab_cli("cache", "keys", "--show", str(tmp_path / "s.yaml")).stdout.split()
    assert "twin" in of_show
    assert "orchestrion-otel" not in of_show
    assert lab_cli("cache", "keys", "--show", "no-such-show").code != 0
