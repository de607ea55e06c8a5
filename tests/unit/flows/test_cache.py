"""The cache: told with sizes that are on disk; what is used stays."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab.flows import cache
from lab.flows.cache import CacheKey
from lab.machines import state
from lab.model.errors import PreconditionError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from tests.support import lab_at


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A home with two images (one of a machine), an artifact with read-only folders, a disk and a download: all old."""
    lab = lab_at(tmp_path / "home")
    for path in (
        lab.paths.images / "used" / "root.img",
        lab.paths.images / "unused" / "root.img",
        lab.paths.artifacts / "abc" / "deep" / "shop",
        lab.paths.artifacts / "disks" / "abc.ext4",
        lab.paths.downloads / "kernel.deb",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100_000)
    (lab.paths.artifacts / "abc" / "deep").chmod(0o500)
    state.save(lab, Machine(spec=MachineSpec(name="m"), image_id="used"))
    for row in cache.listing(lab):
        long_ago = time.time() - cache.KEEP_S - 60
        os.utime(row.path, (long_ago, long_ago))
    return lab


def names(lab: Lab) -> list[str]:
    return [Path(row.path).name for row in cache.listing(lab)]


def test_every_entry_with_its_bytes_and_last_use(lab: Lab) -> None:
    assert names(lab) == ["unused", "used", "abc", "abc.ext4", "kernel.deb"]
    for row in cache.listing(lab):
        assert 100_000 <= row.bytes <= 110_000, row
        assert row.idle_s > cache.KEEP_S


def test_a_home_without_cache_has_nothing(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "none")
    assert cache.listing(lab) == []
    assert cache.prune(lab) == 0
    assert not lab.paths.home.exists()


def test_holes_of_a_sparse_image_count_nothing(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert cache.size(tmp_path / "sparse") < 1 << 20


def test_prune_keeps_what_a_machine_stands_on_and_what_was_used(lab: Lab) -> None:
    os.utime(lab.paths.downloads / "kernel.deb")
    freed = cache.prune(lab)
    assert names(lab) == ["used", "kernel.deb"]
    assert 300_000 <= freed <= 330_000


def test_nothing_is_purged_below_a_machine(lab: Lab) -> None:
    with pytest.raises(PreconditionError, match="machines still use") as caught:
        cache.purge(lab)
    assert caught.value.fix == "lab down --all --purge"
    assert len(names(lab)) == 5


def test_purge_removes_read_only_folders_too(lab: Lab) -> None:
    (lab.paths.machine("m") / "machine.json").unlink()
    cache.purge(lab)
    assert not lab.paths.cache.exists()


def test_one_key_for_all_entries_whatever_their_order() -> None:
    rows = [CacheKey(path="images/a", what="", there=True), CacheKey(path="artifacts/b", what="", there=False)]
    turned = [replace(row, there=not row.there) for row in reversed(rows)]
    assert cache.digest(rows) == cache.digest(turned)
    assert cache.digest(rows) != cache.digest(rows[:1])
