"""One folder for the machine, made once, made again when damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.forms.tree import artifact_tree, tree_path
from lab.model.form import Artifact
from lab.system import digests
from tests.support import lab_at


def artifact(root: Path, name: str, content: bytes) -> Artifact:
    path = root / "artifacts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = digests.of_file(path)
    return Artifact(name=name, key=digest, path=path, sha256=digest, size_bytes=len(content), build_id="")


def test_layout_links_each_artifact_once(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "home")
    base, sink = artifact(tmp_path, "baseline", b"base"), artifact(tmp_path, "sink", b"sink")
    place, digest = artifact_tree(lab, {"baseline": base, "twin": base, "sink": sink})
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()) == [
        "bin/baseline",
        "bin/sink",
    ]
    assert (place / tree_path(base)).samefile(base.path)
    assert artifact_tree(lab, {"sink": sink, "baseline": base}) == (place, digest)


def test_other_content_is_another_tree(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "home")
    one = artifact_tree(lab, {"a": artifact(tmp_path, "a", b"one")})
    two = artifact_tree(lab, {"a": artifact(tmp_path, "a", b"two")})
    assert one[1] != two[1]


def test_a_damaged_tree_is_laid_again(tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "home")
    base = artifact(tmp_path, "a", b"right")
    place, digest = artifact_tree(lab, {"a": base})
    (place / "bin/a").unlink()
    (place / "bin/a").write_bytes(b"wrong")
    assert artifact_tree(lab, {"a": base}) == (place, digest)
    assert (place / "bin/a").read_bytes() == b"right"
    shutil.rmtree(place)
    assert (artifact_tree(lab, {"a": base})[0] / "bin/a").read_bytes() == b"right"
