"""An artifact is found only while it is what was published."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from lab.forms import cache
from lab.forms.sources import Sources
from lab.model.form import Artifact
from lab.model.lab import Lab
from tests.support import lab_at


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path / "home")


def publish(lab: Lab, tmp_path: Path, content: bytes = b"program", key: str = "k" * 64) -> Artifact:
    made = tmp_path / f"made-{threading.get_ident()}"
    made.write_bytes(content)
    made_of = Sources(modules=("example.org/kit/v2",))
    facts, made_by = {"go": "go1"}, {"example.org/weaver": "v1.2.3"}
    return cache.publish(
        lab,
        cache.Built(
            name="x",
            key=key,
            path=made,
            build_id="id",
            cold_s=1.0,
            inputs={"a": "b"},
            facts=facts,
            made_by=made_by,
            made_of=made_of,
        ),
    )


def test_published_is_found_with_all_its_facts(lab: Lab, tmp_path: Path) -> None:
    artifact = publish(lab, tmp_path)
    assert cache.find(lab, artifact.key, "x") == artifact
    assert artifact.path.read_bytes() == b"program"
    assert artifact.path.stat().st_mode & 0o111
    assert (artifact.build_id, artifact.cold_s, artifact.facts) == ("id", 1.0, {"go": "go1"})
    assert artifact.made_by == {"example.org/weaver": "v1.2.3"}


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": "of another", "modules": [], "woven": []}'])
def test_without_the_note_of_what_it_was_made_from_it_is_not_found(lab: Lab, tmp_path: Path, text: str) -> None:
    artifact = publish(lab, tmp_path)
    assert (artifact.modules, artifact.woven_files) == (("example.org/kit/v2",), None)
    (artifact.path.parent / cache.SOURCES_FILE).write_text(text)
    assert cache.find(lab, artifact.key, "x") is None


def test_absent_is_none(lab: Lab) -> None:
    assert cache.find(lab, "k" * 64, "x") is None


@pytest.mark.parametrize("content", [b"progrAm", b"program and more", b""])
def test_a_changed_file_is_not_found_and_is_replaced(lab: Lab, tmp_path: Path, content: bytes) -> None:
    artifact = publish(lab, tmp_path)
    artifact.path.write_bytes(content)
    assert cache.find(lab, artifact.key, "x") is None
    again = publish(lab, tmp_path)
    assert cache.find(lab, again.key, "x") == again


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "key": "other"}'])
def test_a_torn_manifest_is_not_found(lab: Lab, tmp_path: Path, text: str) -> None:
    artifact = publish(lab, tmp_path)
    (artifact.path.parent / cache.MANIFEST_FILE).write_text(text)
    assert cache.find(lab, artifact.key, "x") is None


def test_an_artifact_under_another_key_is_not_believed(lab: Lab, tmp_path: Path) -> None:
    artifact = publish(lab, tmp_path)
    other = cache.folder(lab, "o" * 64)
    artifact.path.parent.rename(other)
    assert cache.find(lab, "o" * 64, "x") is None


def test_manifest_says_how_the_key_came_to_be(lab: Lab, tmp_path: Path) -> None:
    artifact = publish(lab, tmp_path)
    doc = json.loads((artifact.path.parent / cache.MANIFEST_FILE).read_text())
    assert doc["inputs"] == {"a": "b"}
    assert doc["sha256"] == artifact.sha256


def test_nothing_half_made_is_left(lab: Lab, tmp_path: Path) -> None:
    built = cache.Built(name="x", key="k" * 64, path=tmp_path / "none", build_id="", cold_s=1.0, inputs={})
    with pytest.raises(FileNotFoundError):
        cache.publish(lab, built)
    assert list(lab.paths.artifacts.iterdir()) == []


def test_an_entry_of_another_version_is_not_there(lab: Lab, tmp_path: Path) -> None:
    """CI would keep it for ever: a cache that was found whole is not saved again."""
    artifact = publish(lab, tmp_path)
    assert cache.written(lab, artifact.key)
    note = artifact.path.parent / cache.MANIFEST_FILE
    note.write_text(note.read_text().replace(f'"schema": {cache.SCHEMA}', '"schema": 1'))
    assert not cache.written(lab, artifact.key)
    assert cache.find(lab, artifact.key, "x") is None
    assert not cache.written(lab, "0" * 64)
