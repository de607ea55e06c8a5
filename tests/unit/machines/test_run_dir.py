"""The folder of QEMU's sockets, in a temporary folder that may go while the machine stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.machines.providers.qemu import process
from lab.model.errors import PreconditionError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes")


def test_a_temporary_folder_that_is_gone_is_made_again(tmp_path: Path) -> None:
    gone = tmp_path / "nix-shell" / "deeper"
    process.make_run_dir(gone / "lab-0" / "abcdef")
    for folder in (gone.parent, gone, gone / "lab-0", gone / "lab-0" / "abcdef"):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    process.make_run_dir(gone / "lab-0" / "abcdef")


def test_one_that_cannot_be_made_again_is_told_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreconditionError, match="cannot make") as told:
        process.make_run_dir(tmp_path / "file" / "lab-0" / "abcdef")
    assert "lab down" in told.value.fix


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab-0").mkdir()
    (tmp_path / "lab-0").chmod(0o755)
    with pytest.raises(PreconditionError, match="not a private folder"):
        process.make_run_dir(tmp_path / "lab-0" / "abcdef")
