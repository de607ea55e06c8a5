"""What more than one room's tests on this very host need of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.guest.mounts import mount_kernel_fs, undo


@pytest.fixture(scope="module")
def kernel_fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `prepare` mounts before a run: without securityfs nobody can tell a kernel's lockdown."""
    journal = tmp_path_factory.mktemp("mounts") / "journal.json"
    mount_kernel_fs(journal)
    try:
        yield
    finally:
        undo(journal)
