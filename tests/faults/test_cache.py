"""What was damaged in the cache is seen before it is used: made again where it can be, else a stop that says how."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.system import digests
from tests.support import run_lab, test_home

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A cache of its own: files are shared by hard links, so that damage is done to copies only."""
    shared = test_home() / "cache"
    own = tmp_path / "home/cache"
    own.mkdir(parents=True)
    (own / "build").symlink_to(shared / "build")
    for part in ("artifacts", "images"):
        left_out = shutil.ignore_patterns("disks", "trees", ".*")
        if (shared / part).is_dir():
            shutil.copytree(shared / part, own / part, copy_function=os.link, ignore=left_out)
    try:
        yield tmp_path / "home"
    finally:
        down = run_lab("down", "--all", home=tmp_path / "home", limit_s=120)
        assert down.code == 0, down.stderr


def damage(path: Path, at: int) -> None:
    """Flip one bit; the file behind the other names of `path` stays as it is."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o755)


def named(home: Path, name: str) -> dict[Path, str]:
    """Every cached artifact of that name, with the digest it was published with."""
    found = {}
    for manifest in (home / "cache/artifacts").glob("*/manifest.json"):
        doc = json.loads(manifest.read_text(encoding="utf-8"))
        if doc["name"] == name:
            found[manifest.parent / "binary"] = doc["sha256"]
    return found


def deploy(home: Path) -> None:
    """Natively: build what is missing, put it there, prove it."""
    argv = ("deploy", "worn", "--form", "baseline", "--provider", "local", "--json")
    ran = run_lab(*argv, home=home, limit_s=240)
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["result"]["proofs"]["baseline"]["ok"]


def test_a_damaged_artifact_is_never_run_but_built_again(home: Path) -> None:
    deploy(home)
    before = named(home, "baseline")
    assert before
    for path in before:
        damage(path, path.stat().st_size // 2)
    assert all(digests.of_file(path) != digest for path, digest in before.items())

    deploy(home)
    whole = {path: digest for path, digest in named(home, "baseline").items() if digests.of_file(path) == digest}
    assert len(whole) == 1, "the one that was used"
    assert set(whole) <= set(before), "under the same key"


def test_a_damaged_image_stops_up_and_says_which_file_and_what_to_do(home: Path) -> None:
    images = [path for path in (home / "cache/images").iterdir() if (path / "image.json").is_file()]
    assert images, "the image comes from the tests before: --tier vm"
    for image in images:
        damage(image / "vmlinux", 4096)
    ran = run_lab("up", "worn", home=home, limit_s=240)
    assert ran.code == 9, ran.stderr
    assert "vmlinux has digest" in ran.stderr
    assert any(f"rm -r {image}" in ran.stderr for image in images)
    assert not list((home / "machines/worn").glob("disk*"))
    deep = run_lab("doctor", "--deep", home=home, limit_s=240)
    assert deep.code == 4
    assert "vmlinux" in deep.stdout + deep.stderr
