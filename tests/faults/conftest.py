"""A home of each test's own over the shared cache; whatever a test leaves up is taken down."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import run_lab, test_home


@pytest.fixture
def home() -> Iterator[Path]:
    yield from homes()


def homes() -> Iterator[Path]:
    """One home, given and cleaned up."""
    with tempfile.TemporaryDirectory(prefix="lab-fault-") as folder:
        cache = test_home() / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "cache").symlink_to(cache)
        try:
            yield Path(folder)
        finally:
            down = run_lab("down", "--all", home=Path(folder), limit_s=120)
            assert down.code == 0, down.stderr
