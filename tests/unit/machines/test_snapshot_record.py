"""The record of a snapshot that is missing or damaged: each fix makes that one, and it can be removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.machines import snapshots
from lab.model.errors import Unreadable, UsageError
from lab.model.lab import Lab
from lab.model.paths import MACHINE_FILE, SNAPSHOTS_DIR
from tests.support import lab_at

RECORD = {"schema": 1, "name": "talk", "boot_id": "b", "uptime_s": 1.0, "nonce": "n", "kept": {}}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = lab_at(tmp_path)
    folder = lab.paths.machine("m")
    (folder / SNAPSHOTS_DIR).mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("recorded_machine.json"), folder / MACHINE_FILE)
    return lab


def put(lab: Lab, text: str) -> Path:
    path = lab.paths.machine("m") / SNAPSHOTS_DIR / "talk.json"
    path.write_text(text)
    return path


def test_one_that_is_missing_is_made_by_its_fix(lab: Lab) -> None:
    with pytest.raises(UsageError, match="has no snapshot 'talk'") as told:
        snapshots.restore(lab, "m", "talk")
    assert told.value.fix == "lab snapshot m --as talk"


def test_one_that_is_damaged_is_made_again_by_its_fix(lab: Lab) -> None:
    put(lab, "{")
    with pytest.raises(Unreadable) as told:
        snapshots.restore(lab, "m", "talk")
    assert told.value.fix == "lab snapshot m --as talk"


def test_one_of_an_earlier_version_is_made_again_by_its_fix(lab: Lab) -> None:
    put(lab, json.dumps(RECORD | {"held": {"pid": 1}}))
    with pytest.raises(UsageError) as told:
        snapshots.restore(lab, "m", "talk")
    assert told.value.fix == "lab up m, then lab snapshot m --as talk --form …"


@pytest.mark.parametrize("text", ["{", "", json.dumps(RECORD)])
def test_one_that_is_damaged_can_be_removed(lab: Lab, text: str) -> None:
    path = put(lab, text)
    snapshots.remove(lab, "m", "talk")
    assert not path.exists()
    with pytest.raises(UsageError, match="has no snapshot"):
        snapshots.remove(lab, "m", "talk")
