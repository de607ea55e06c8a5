"""Every document that somebody else wrote is a regular file, or an error at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.flows import request
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from lab.model.loading.load_config import load
from lab.model.regular import NotRegular, opened
from tests.support import ROOT

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names"),
    pytest.mark.timeout(20),  # nothing here may wait
]


@pytest.mark.parametrize("name", ["service.yaml", "scenario.yaml", "reference-spans.yaml", "expected-spans.yaml"])
def test_a_pipe_in_the_place_of_a_document(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/contract/foreign", tmp_path / "own")
    path = tmp_path / "own" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(ConfigError) as told:
        request.read(DemoConfig(forms=("baseline",)), service_dir=tmp_path / "own")
    assert told.value.message == f"{path} cannot be read: it is a named pipe, not a regular file"


def test_a_pipe_in_the_place_of_lab_yaml(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lab.yaml")
    with pytest.raises(ConfigError, match="it is a named pipe, not a regular file"):
        load({"project file": tmp_path / "lab.yaml"}, {}, {})


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/tty")
    with pytest.raises(NotRegular):
        opened(tmp_path / "link")


def test_a_byte_that_is_not_utf8_is_told_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"schema: 1\nhome: caf\xe9\n")
    with pytest.raises(ConfigError) as told:
        load({"project file": path}, {}, {})
    assert told.value.message == f"{path}:2:10: not UTF-8: byte 0xe9"
    assert told.value.fix == f"edit {path}:2:10"
