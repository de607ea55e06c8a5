"""The cache: told with sizes that are on disk; what is used stays."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from lab.flows import cache, deliver
from lab.flows.cache import CacheKey
from lab.forms import cache as built_forms
from lab.forms.cache import Built
from lab.machines import disks_in_use, state
from lab.machines.images.cloud import boot as cloud_boot
from lab.machines.images.cloud import convert as cloud_convert
from lab.machines.images.cloud import disk as cloud_disk
from lab.machines.images.rootfs import ImageSpec
from lab.model.errors import LabError, PreconditionError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from lab.system import proc, toolchain
from lab.system.wait import Deadline
from tests.support import lab_at

LONG_AGO: Final = time.time() - cache.KEEP_S - 60


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
    age(lab)
    return lab


def age(lab: Lab) -> None:
    """All in the cache was last used long ago."""
    for row in cache.listing(lab):
        os.utime(row.path, (LONG_AGO, LONG_AGO))


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


# --- use, as commands use it ------------------------------------------------------------------------------------------


def test_a_binary_that_is_found_is_used(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "shop").write_bytes(b"ELF")
    built = Built(name="shop", key="k1", path=tmp_path / "shop", build_id="b", cold_s=1.0, inputs={})
    built_forms.publish(lab, built)
    age(lab)
    assert built_forms.find(lab, "k1", "shop")
    cache.prune(lab)
    assert built_forms.find(lab, "k1", "shop")


def test_a_go_that_is_found_is_used_with_all_modules_and_its_cache(lab: Lab) -> None:
    system, cpu = toolchain.host_target()
    root = lab.paths.build / "modules/golang.org" / f"toolchain@v0.0.1-go9.9.9.{system}-{cpu}"
    (root / "bin").mkdir(parents=True)
    (root / "VERSION").write_text("go9.9.9\n")
    (root / "bin" / toolchain.GO).write_text("")
    (root / "bin" / toolchain.GO).chmod(0o700)
    for name in ("cache-go9.9.9-plain", "cache-go9.9.9-weaver"):
        (lab.paths.build / name).mkdir()
    age(lab)
    go = toolchain.find(lab, "go9.9.9", deadline=Deadline.after(5))
    toolchain.build_environment(lab, GOCACHE=go.build_cache(lab))
    cache.prune(lab)
    assert names(lab) == ["used", "cache-go9.9.9-plain", "modules"]


def test_a_disk_that_is_used_stays_with_its_stamp(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    image = deliver.disk(lab, tmp_path / "tree", "d1")
    age(lab)
    deliver._seal(image)  # of that age
    age(lab)
    changed = deliver.disk(lab, tmp_path / "tree", "d1").stat().st_mtime_ns
    assert changed < time.time_ns() - cache.KEEP_S * 1e9, "only its access is of now"
    cache.prune(lab)
    assert deliver.disk(lab, tmp_path / "tree", "d1").stat().st_mtime_ns == changed, "not made again"


def test_a_disk_of_a_snapshot_stays_with_its_stamp(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.paths.artifacts / "disks" / "abc.json").write_text("{}")
    age(lab)
    monkeypatch.setattr(disks_in_use, "names", lambda _: {"abc.ext4"})
    cache.prune(lab)
    assert names(lab) == ["used", "abc.ext4", "abc.json"]


def test_an_image_that_was_fetched_is_used_where_it_is_found(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proc, "require_tool", lambda _: "qemu")
    monkeypatch.setattr(cloud_boot, "firmware", lambda *_: None)
    (tmp_path / "os.img").write_bytes(b"x")
    digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    spec = MachineSpec(source=str(tmp_path / "os.img"), digest=digest)
    kept = cloud_disk.source(lab, spec.source, digest, Deadline.after(5))
    age(lab)
    wanted = ImageSpec(suite="bookworm", arch=spec.arch, disk_gib=1, packages=(), go_root=tmp_path)
    with pytest.raises(LabError):  # it is no image
        cloud_convert._make(lab, spec, wanted, "i1", Deadline.after(5))
    cache.prune(lab)
    assert kept.exists()
