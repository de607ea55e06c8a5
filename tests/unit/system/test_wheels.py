"""What uv is told of pip's settings."""

from __future__ import annotations

from pathlib import Path

from lab.system.wheels import index_settings

MIRROR = "https://mirror.example/simple"


def test_an_index_of_the_environment_is_handed_over(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PIP_INDEX_URL": MIRROR, "PIP_EXTRA_INDEX_URL": "https://more.example"}
    assert index_settings(environ) == {"UV_DEFAULT_INDEX": MIRROR, "UV_INDEX": "https://more.example"}


def test_an_index_of_pips_file_is_handed_over(tmp_path: Path) -> None:
    file = tmp_path / ".config/pip/pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text(f"[global]\nindex-url = {MIRROR}\ntimeout = 60\n")
    assert index_settings({"HOME": str(tmp_path)})["UV_DEFAULT_INDEX"] == MIRROR


def test_uvs_own_settings_win_and_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("no section\n")
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        given = {"HOME": str(tmp_path), name: "https://own.example", "PIP_INDEX_URL": MIRROR}
        assert "UV_DEFAULT_INDEX" not in index_settings(given)
