"""Forms and services that do not fit, asked of the real Go; nothing is woven here.

Names of cases: double-spans, own-otelhttp, own-grpc-fork-replaced, own-orchestrion-tool-file, tool-go-collides.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from lab import forms
from lab.forms import fit, fitting
from lab.forms.build_dir import BuildDir, prepare
from lab.forms.recipe import HOST, Recipe
from lab.forms.source.shelf import Shelf
from lab.forms.wanted import recipes_for
from lab.model.errors import DemoError
from lab.model.events import Record, StepStarted
from lab.model.form import Form
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.model.own import Change, Module
from lab.model.service import Service
from lab.system.wait import Deadline
from tests.support import ROOT, lab_at, pinned_go, test_home

pytestmark = [pytest.mark.contract]

FOREIGN = ROOT / "tests/contract/foreign"
CATALOG = forms.catalog(ROOT)
ARCH: Arch = "aarch64" if os.uname().machine == "aarch64" else "x86_64"
GRPC, NET = "google.golang.org/grpc", "golang.org/x/net"
OTELHTTP = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
BY_HAND = f"""package main

import (
	"net/http"

	"{OTELHTTP}"
)

func main() {{
	hi := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {{}})
	_ = http.ListenAndServe("127.0.0.1:0", otelhttp.WithRouteTag("/hi", hi))
}}
"""
DIALS = 'package main\n\nimport "google.golang.org/grpc"\n\nfunc main() { _, _ = grpc.NewClient("x") }\n'
PLAIN = "package main\n\nfunc main() {}\n"


@pytest.fixture
def lab() -> Lab:
    return lab_at(test_home())


def service(root: Path, main: str, require: str = "", **files: str) -> Service:
    """A service of one file, its modules by version; checksums come from the source that knows them."""
    written = {"main.go": main, "go.mod": f"module example.test/own\n\ngo 1.25.0\n\n{require}\n", **files}
    for name, text in written.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return dataclasses.replace(forms.service(ROOT, FOREIGN), root=root, main=".", build_id_var="")


def wanted(lab: Lab, one: Service, names: tuple[str, ...], room: Path) -> dict[str, Recipe]:
    chosen = [CATALOG[name] for name in names]
    return recipes_for(lab, chosen, one, ARCH, HOST, Shelf(room / "read"), room / "asked")


def prepared(lab: Lab, one: Service, name: str, room: Path) -> BuildDir:
    """The copy that a form would be built in, its modules resolved."""
    recipe = wanted(lab, one, (name,), room)[name]
    return prepare(lab, recipe, pinned_go(), room / "copy", deadline=Deadline.after(170))


@pytest.mark.forms  # it waits for its turn to build
def test_a_service_instrumented_by_hand_is_refused_by_name_and_the_others_go_on(lab: Lab, tmp_path: Path) -> None:
    """double-spans and own-otelhttp: told within seconds, with module, version and line; nothing is woven."""
    main = BY_HAND.replace('otelhttp.WithRouteTag("/hi", hi)', 'otelhttp.NewHandler(hi, "hi")')
    one = service(tmp_path, main, f"require {OTELHTTP} v0.72.0")
    records: list[Record] = []
    lab.bus.add(records.append)
    names = ("baseline", "orchestrion-otel", "orchestrion-dd")
    made = forms.attempt(lab, [CATALOG[name] for name in names], one, arch=ARCH)
    assert set(made.artifacts) == {"baseline", "sink", "load"}
    assert list(made.failed) == ["orchestrion-otel", "orchestrion-dd"]
    for name, error in made.failed.items():
        assert f"form {name} does not fit this service: main.go:6 imports {OTELHTTP} v0.72.0; " in error.message
    begun = [r.event.title for r in records if isinstance(r.event, StepStarted)]
    assert not [title for title in begun if "orchestrion" in title]


@pytest.mark.forms  # it waits for its turn to build
def test_a_replacement_of_the_service_wins_in_baseline(lab: Lab, tmp_path: Path) -> None:
    """own-grpc-fork-replaced: what the service's own copy of grpc has more compiles; other forms name the line."""
    main = 'package main\n\nimport "google.golang.org/grpc"\n\nfunc main() { println(grpc.Patched()) }\n'
    one = service(
        tmp_path,
        main,
        f"require {GRPC} v1.70.0\n\nreplace {GRPC} => ./third/grpc",
        **{"third/grpc/go.mod": f"module {GRPC}\n\ngo 1.24\n"},
        **{"third/grpc/g.go": 'package grpc\n\nfunc Patched() string { return "hello" }\n'},
    )
    names = ("baseline", "orchestrion-otel", "orchestrion-dd", "ebpf")
    made = forms.attempt(lab, [CATALOG[name] for name in names], one, arch=ARCH)
    assert set(made.artifacts) == {"baseline", "sink", "load"}
    assert made.artifacts["baseline"].changes == ()
    assert list(made.failed) == ["orchestrion-otel", "orchestrion-dd", "ebpf"]
    for error in made.failed.values():
        assert f"go.mod:7 replaces {GRPC} by ./third/grpc; " in error.message


@pytest.mark.parametrize("name", ["orchestrion-otel", "orchestrion-dd"])
def test_in_the_copy_the_forms_file_wins(lab: Lab, tmp_path: Path, name: str) -> None:
    """tool-go-collides and own-orchestrion-tool-file, with aspects of the service's own and newer tools in go.mod."""
    tool = '//go:build tools\n\npackage tools\n\nimport _ "github.com/DataDog/orchestrion"\n'
    one = service(
        tmp_path,
        PLAIN,
        "require github.com/DataDog/orchestrion v1.15.0",
        **{"orchestrion.tool.go": tool, "orchestrion.yml": "meta: {name: own}\naspects: [mine]\n"},
    )
    before = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    scratch = prepared(lab, one, name, tmp_path / "room")
    form = CATALOG[name].root / "overlay"
    for file in ("orchestrion.tool.go", "orchestrion.yml"):
        assert (scratch.root / file).read_text() == (form / file).read_text()
    recipe = scratch.recipe
    listed = fit.copied(recipe.own or pytest.fail("no own program"), recipe.overlays)
    assert listed == (Change(what="orchestrion.tool.go", kind="file"), Change(what="orchestrion.yml", kind="file"))
    mod = (scratch.root / "go.mod").read_text()
    assert "github.com/DataDog/orchestrion => github.com/DataDog/orchestrion v1.12.0" in mod
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("require", "kept"),
    [
        (f"require {GRPC} v1.84.0", "v1.84.0"),  # newer than the form's
        (f"require {GRPC} v1.70.0", "v1.70.0"),  # older
        (f"require {GRPC} v1.70.0\n\nreplace {GRPC} => {GRPC} v1.64.0", "v1.64.0"),
    ],
)
def test_a_woven_form_keeps_the_services_grpc(lab: Lab, tmp_path: Path, require: str, kept: str) -> None:
    one = service(tmp_path, DIALS, require)
    scratch = prepared(lab, one, "orchestrion-otel", tmp_path / "room")
    assert scratch.versions[GRPC].used == kept
    own = scratch.recipe.own or pytest.fail("no own program")
    asked = require.split()[2]
    assert own.modules[GRPC] == Module(version=asked, used=kept)
    assert scratch.versions[NET].used == own.modules[NET].used
    assert not [change for change in scratch.moved() if change.what in (GRPC, NET)]


def test_a_module_that_a_form_raises_too_far_is_named_before_anything_is_woven(lab: Lab, tmp_path: Path) -> None:
    """own-otelhttp, without what the form's own data says of it: a plain compile finds what no longer compiles."""
    one = service(tmp_path, BY_HAND, f"require {OTELHTTP} v0.61.0")
    scratch = prepared(lab, one, "orchestrion-otel", tmp_path / "room")
    with pytest.raises(DemoError, match=rf"{OTELHTTP} v0\.61\.0 raised to v0\.72\.0") as caught:
        fitting.compiles(lab, scratch, Deadline.after(170))
    assert "undefined: otelhttp.WithRouteTag" in str(caught.value.detail)
    plain = prepared(lab, one, "baseline", tmp_path / "room2")
    fitting.compiles(lab, plain, Deadline.after(170))  # there it compiles


def broken(name: str) -> Form:
    """A form whose build ends at once."""
    build = CATALOG["baseline"].build or pytest.fail("no build")
    steps = (("go", "build", "-o", "{out}", "./nowhere"),)
    return dataclasses.replace(CATALOG["baseline"], name=name, build=dataclasses.replace(build, steps=steps))


@pytest.mark.forms  # it waits for its turn to build
def test_one_form_that_does_not_build_leaves_the_others_going(lab: Lab, tmp_path: Path) -> None:
    one = service(tmp_path, PLAIN)
    made = forms.attempt(lab, [CATALOG["baseline"], broken("spoilt"), CATALOG["twin"]], one, arch=ARCH)
    assert set(made.artifacts) == {"baseline", "twin", "sink", "load"}
    assert [str(error) for error in made.failed.values()] == ["form spoilt does not build (exit code 1)"]
    with pytest.raises(DemoError, match="form spoilt does not build"):
        forms.build(lab, [CATALOG["baseline"], broken("spoilt")], one, arch=ARCH)


@pytest.mark.forms  # it may have to build the weaver
def test_a_source_that_does_not_compile_is_not_woven(lab: Lab, tmp_path: Path) -> None:
    """One error, of the plain build: weaving would find the same after minutes."""
    one = service(tmp_path, "package main\n\nfunc main() { nothing() }\n")
    made = forms.attempt(lab, [CATALOG["orchestrion-otel"], CATALOG["baseline"]], one, arch=ARCH)
    assert set(made.failed) == {"orchestrion-otel", "baseline"}
    assert {str(error) for error in made.failed.values()} == {"form baseline does not build (exit code 1)"}
    assert "main.go:3:15: undefined: nothing" in str(made.failed["baseline"].detail)
