"""A home, and in it the folder of a machine about which nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machines import state
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from tests.support import lab_at


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path / "home")


@pytest.fixture
def folder(lab: Lab) -> Path:
    """Of a machine m and, beside it, a whole one that is always shown."""
    state.save(lab, Machine(spec=MachineSpec(name="other")))
    directory = lab.paths.machine("m")
    directory.mkdir(parents=True)
    return directory
