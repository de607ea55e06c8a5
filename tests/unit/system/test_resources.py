"""Where demo/, playbooks/ and vagrant/ are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.system import resources


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """root() remembers its answer; each test asks again."""
    resources.root.cache_clear()
    yield
    resources.root.cache_clear()


def lay(folder: Path, names: tuple[str, ...] = resources.FOLDERS) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


def test_in_this_checkout_it_is_the_checkout(repo: Path) -> None:
    assert resources.root() == repo


def test_installed_it_is_the_packed_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "lab"
    lay(package / "_data")
    monkeypatch.setattr(resources, "PACKAGE", package)
    assert resources.root() == package / "_data"


def test_a_partial_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lab"
    lay(package / "_data", ("demo", "playbooks"))
    monkeypatch.setattr(resources, "PACKAGE", package)
    with pytest.raises(PreconditionError, match="lacks demo, playbooks, vagrant") as caught:
        resources.root()
    assert "./labw" in caught.value.fix
