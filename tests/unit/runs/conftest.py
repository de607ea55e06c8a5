"""One small made-up run, sealed, for every test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.report import synthetic
from tests.unit.runs.changed import FORMS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return synthetic.write(tmp_path / "run", requests=20, forms=FORMS)
