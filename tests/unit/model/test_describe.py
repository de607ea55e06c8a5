"""The sample and the schema in docs/reference are what the code says."""

from __future__ import annotations

import json

from lab.model import describe
from tests.support import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_the_sample_is_the_generated_one() -> None:
    assert (REFERENCE / "lab.yaml").read_text(encoding="utf-8") == describe.sample()


def test_the_schema_is_the_generated_one() -> None:
    assert json.loads((REFERENCE / "lab.schema.json").read_text(encoding="utf-8")) == describe.json_schema()
