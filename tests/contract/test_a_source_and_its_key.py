"""The key of a binary is of what was built: of exactly the files that the build reads, read once for all forms.

Case: stale-edit-during-build.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from lab import forms
from lab.forms.source import gosource
from lab.model.events import Notice, Record, StepStarted
from lab.model.form import Artifact, Form
from lab.model.machine import HOST_ARCH
from lab.model.service import Service
from tests.contract.layouts import ASKS, LIB, MOD, Layout, embeds, lay, read, said
from tests.support import ROOT, lab_at, test_home

OK: Final = 'package main\n\nconst word = "ok"\n'


def digest(service: Service, tmp_path: Path) -> str:
    return read(service, tmp_path, copy=False).tree.digest


def word(service: Service, text: str) -> None:
    (service.root / "word.go").write_text(f'package main\n\nconst word = "{text}"\n')


def write(name: str, text: str = "x") -> Callable[[Path], None]:
    def change(top: Path) -> None:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return change


def big(top: Path) -> None:
    with (top / "svc/dump.img").open("wb") as file:
        file.truncate(3 << 30)


def closed(top: Path) -> None:
    (top / "svc/pgdata").mkdir(mode=0)


@pytest.mark.contract
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(big, id="large-file-in-memory"),
        pytest.param(closed, id="a folder that nobody may read"),
        pytest.param(lambda top: os.mkfifo(top / "svc/pipe.go.tmp"), id="a pipe"),
        pytest.param(write("svc/.lab/cache/build/modules/x/x.go"), id="home-inside-source"),
        pytest.param(write("svc/.git/HEAD"), id="git"),
        pytest.param(write("svc/service.yaml", "schema: 1\n"), id="lab's own file"),
        pytest.param(write("svc/node_modules/a/a.js"), id="what Go does not read"),
        pytest.param(write("svc/word_test.go", "package main\n"), id="a test"),
        pytest.param(write("svc/cmd/other/main.go", "package main\n"), id="another program"),
        pytest.param(write("lib/notes.txt"), id="beside"),
    ],
)
def test_what_a_build_does_not_read_is_no_part_of_the_key(change: Callable[[Path], object], tmp_path: Path) -> None:
    service = lay(tmp_path / "src", Layout(files={**LIB, "svc/word.go": OK}))
    before = digest(service, tmp_path)
    change(tmp_path / "src")
    source = read(service, tmp_path)
    assert source.tree.digest == before
    assert sorted(path.name for path in source.tree.copy().rglob("*")) == ["go.mod", "go.sum", "main.go", "word.go"]


@pytest.mark.contract
@pytest.mark.parametrize("old", ["../lib", "{top}/lib"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(write("lib/lib.go", 'package lib\n\nconst Word = "edited"\n'), id="its source"),
        pytest.param(write("lib/new.go", "package lib\n\nconst New = 1\n"), id="a new file"),
        pytest.param(write("lib/go.mod", "module ex.org/lib\n\ngo 1.25\n"), id="its go.mod"),
        pytest.param(write("svc/service.yaml", "edited"), id="embedded-service-yaml"),
        pytest.param(write("svc/default.pgo"), id="a profile"),
    ],
)
def test_what_a_build_reads_is(old: str, change: Callable[[Path], object], tmp_path: Path) -> None:
    """An edited module behind a replacement, absolute or not, and whatever is embedded."""
    files = {
        **LIB,
        "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => {old}\n",
        "svc/word.go": ASKS,
        "svc/service.yaml": "x",
        "svc/text.go": embeds("service.yaml", "service.yaml").replace("word", "text"),
    }
    service = lay(tmp_path / "src", Layout(files=files))
    before = digest(service, tmp_path)
    change(tmp_path / "src")
    assert digest(service, tmp_path) != before


@pytest.mark.contract
def test_an_absolute_replacement_elsewhere_is_the_same_binary(tmp_path: Path) -> None:
    files = {**LIB, "svc/word.go": ASKS}
    files["svc/go.mod"] = f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => {{top}}/lib\n"
    made = [digest(lay(tmp_path / name, Layout(files=files)), tmp_path) for name in ("here", "there")]
    assert made[0] == made[1]


def two_forms() -> tuple[Form, Form]:
    baseline = forms.catalog(ROOT)["baseline"]
    assert baseline.build is not None
    steps = tuple((*step[:2], "-gcflags=-N", *step[2:]) for step in baseline.build.steps)
    other = dataclasses.replace(baseline.build, steps=steps)
    return baseline, dataclasses.replace(baseline, name="unoptimised", build=other)


def build(
    service: Service, on_build: Callable[[], None] = lambda: None, told: list[str] | None = None
) -> dict[str, Artifact]:
    lab = lab_at(test_home())

    def sink(record: Record) -> None:
        if isinstance(record.event, StepStarted) and record.event.name.startswith("build:"):
            on_build()
        if isinstance(record.event, Notice) and told is not None:
            told.append(record.event.text)

    lab.bus.add(sink)
    return forms.build(lab, two_forms(), service, arch=HOST_ARCH)


@pytest.mark.forms
@pytest.mark.timeout(900)
def test_stale_edit_during_build(tmp_path: Path) -> None:
    """Both forms are of the source as it was read; the next command builds both of the edited one."""
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": OK}))
    word(service, f"first {tmp_path}")
    told: list[str] = []
    made = build(service, lambda: word(service, f"second {tmp_path}"), told)
    assert any("was edited during the build" in text for text in told)
    assert {said(made[form.name].path) for form in two_forms()} == {f"first {tmp_path}"}
    told.clear()
    again = build(service, told=told)
    assert not any("edited" in text for text in told)
    assert {said(again[form.name].path) for form in two_forms()} == {f"second {tmp_path}"}
    assert all(again[form.name].built_now for form in two_forms())
    word(service, f"first {tmp_path}")
    back = build(service)
    assert {form.name: back[form.name].key for form in two_forms()} == {f.name: made[f.name].key for f in two_forms()}
    assert not any(back[form.name].built_now for form in two_forms())


@pytest.mark.forms
@pytest.mark.timeout(900)
def test_an_edit_before_the_copy_counts_for_all_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = lay(tmp_path / "src", Layout(files={"svc/word.go": OK}))
    word(service, f"first {tmp_path}")
    real = gosource.read

    def edited(*words: object) -> gosource.GoSource:
        source = real(*words)  # type: ignore[arg-type]  # passed on as given
        word(service, f"second {tmp_path}")
        return source

    monkeypatch.setattr(gosource, "read", edited)
    made = build(service)
    assert {said(made[form.name].path) for form in two_forms()} == {f"second {tmp_path}"}
    monkeypatch.undo()
    assert not any(build(service)[form.name].built_now for form in two_forms())
