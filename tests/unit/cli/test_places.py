"""A home or a config that cannot be: named with its option, whatever is in its place."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_lab


def test_a_home_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for home in ("~no-such-user-here/x", str(tmp_path / "loop")):
        ran = run_lab("status", "--home", home, home=tmp_path)
        assert ran.code == 2, ran.stderr
        assert f"--home {home}: " in ran.stderr
        assert "fix:" in ran.stderr


def test_a_config_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    ran = run_lab("status", home=tmp_path)
    assert ran.code == 3
    assert "config.yaml cannot be read: it is a folder, not a regular file" in ran.stderr
