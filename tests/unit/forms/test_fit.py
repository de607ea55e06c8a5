"""Whether a form fits a service, by facts of both; tests/contract/test_form_fits.py asks Go of real services."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import forms
from lab.forms import fit
from lab.forms.source.own import read
from lab.model.errors import DemoError
from lab.model.form import Conflict, Form, Hold, ModuleSpec
from lab.model.own import Change, Import, Module, Own
from tests.support import ROOT

GRPC, NET = "google.golang.org/grpc", "golang.org/x/net"
HOLD = {GRPC: Hold(at_least="v1.58.0", otherwise="v1.80.0"), NET: Hold(at_least="v0.20.0", otherwise="v0.53.0")}
CATALOG = forms.catalog(ROOT)


def own(more: Mapping[str, str] | None = None, top: Path = Path(), **versions: str) -> Own:
    """A service with these: grpc="v1.70.0", or "v1.70.0=v1.60.0" where it replaces."""
    names = {"grpc": GRPC, "net": NET}
    parts = {names.get(name, name): text.partition("=") for name, text in {**versions, **(more or {})}.items()}
    return Own(top=top, modules={name: Module(version=v, used=u or v) for name, (v, _, u) in parts.items()})


def form(*conflicts: Conflict) -> Form:
    return Form(root=Path(), name="woven", title="", mechanism="compile-time", conflicts=conflicts)


def test_versions_sort_as_semver_says() -> None:
    """The list is that of semver.org, section 11, with Go's pseudo-versions."""
    told = [
        "v0.0.0-00010101000000-000000000000", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-beta",
        "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0", "v1.0.1-0.20260101000000-abcdefabcdef", "v1.9.0",
        "v1.10.0", "v2.0.0+incompatible",
    ]  # fmt: skip
    mixed = random.Random(1).sample(told, len(told))
    assert sorted(mixed, key=fit.order) == told


@pytest.mark.parametrize(
    ("service", "chosen"),
    [
        (own(), {GRPC: "v1.80.0", NET: "v0.53.0"}),  # neither is in the program: the form's choice
        (own(grpc="v1.70.0", net="v0.34.0"), {GRPC: "v1.70.0", NET: "v0.34.0"}),  # both stay
        (own(grpc="v1.85.0", net="v0.60.0"), {GRPC: "v1.85.0", NET: "v0.60.0"}),  # newer ones too
        (own(net="v0.30.0"), {GRPC: "v1.80.0", NET: "v0.53.0"}),  # the grpc that is added needs it
        (own(net="v0.60.0"), {GRPC: "v1.80.0", NET: "v0.60.0"}),  # nothing is lowered
        (own(grpc="v1.50.0", net="v0.10.0"), {GRPC: "v1.80.0", NET: "v0.53.0"}),  # too old for the form
        (own(grpc="v1.70.0=v1.65.0", net="v0.34.0"), {GRPC: "v1.65.0", NET: "v0.34.0"}),  # replaced by a version
        (own(grpc="v1.70.0=./fork", net="v0.34.0"), {NET: "v0.34.0"}),  # replaced by a folder: left alone
    ],
)
def test_the_services_own_version_stays_where_the_form_can_work_with_it(service: Own, chosen: dict[str, str]) -> None:
    """own-grpc-fork-replaced and its siblings: what is not named keeps the service's replacement."""
    wanted = [f"-replace={path}={path}@{version}" for path, version in chosen.items()]
    assert fit.edits("form woven", ModuleSpec(hold=HOLD), service, {}) == wanted


def test_an_older_replacement_than_the_form_needs_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(f"module m\n\nreplace {GRPC} => {GRPC} v1.50.0\n")
    with pytest.raises(
        DemoError, match=r"form woven does not fit this service: go\.mod:3 replaces .*v1\.58\.0 or newer"
    ):
        fit.edits("form woven", ModuleSpec(hold=HOLD), own(top=tmp_path, grpc="v1.70.0=v1.50.0", net="v0.34.0"), {})


def test_an_excluded_version_is_not_brought_back() -> None:
    mod = {"Exclude": [{"Path": GRPC, "Version": "v1.80.0"}]}
    with pytest.raises(DemoError, match=r"go\.mod excludes google\.golang\.org/grpc v1\.80\.0"):
        fit.edits("form woven", ModuleSpec(hold=HOLD), own(), mod)
    assert fit.edits("form woven", ModuleSpec(hold=HOLD), own(grpc="v1.70.0", net="v0.34.0"), mod)


def test_a_requirement_never_lowers_what_the_service_uses() -> None:
    module = ModuleSpec(require={"example.test/a": "v1.2.0"})
    assert fit.edits("f", module, own({"example.test/a": "v1.3.0"}), {}) == []
    assert fit.edits("f", module, own({"example.test/a": "v1.1.0"}), {}) == ["-require=example.test/a@v1.2.0"]


def test_what_no_code_of_the_service_uses_is_the_forms_alone() -> None:
    """own-orchestrion-tool-file: a newer Orchestrion in go.mod is of no use to the program and breaks the form's."""
    module = ModuleSpec(require={"example.test/tool": "v1.12.0"})
    exact = ["-require=example.test/tool@v1.12.0", "-replace=example.test/tool=example.test/tool@v1.12.0"]
    assert fit.edits("f", module, own(), {"Require": [{"Path": "example.test/tool", "Version": "v1.15.0"}]}) == exact
    replaced = {"Replace": [{"Old": {"Path": "example.test/tool"}, "New": {"Path": "../fork"}}]}
    assert fit.edits("f", module, own(), replaced) == exact
    assert fit.edits("f", module, own(), {}) == exact[:1]


@pytest.mark.parametrize(
    ("conflict", "told"),
    [
        (Conflict(why="w", imports=("example.test/otel",)), "main.go:8 imports example.test/otel/http v0.61.0; w"),
        (Conflict(why="w", imports=("example.test/otel/httpx",)), ""),
        (Conflict(why="w", forks=(GRPC,)), "go.mod replaces google.golang.org/grpc by ./fork; w"),
        (Conflict(why="w", replaces=(NET,)), "go.mod replaces golang.org/x/net by v0.30.0; w"),
        (Conflict(why="w", forks=(NET,)), ""),  # by another version: no other code than a released one
        (Conflict(why="w", replaces=(NET,), only_with=("example.test/absent",)), ""),
        (Conflict(why="w", since={NET: "v0.30.0"}), "it uses golang.org/x/net v0.30.0; w"),
        (Conflict(why="w", since={NET: "v0.31.0"}), ""),
        (Conflict(why="w", since={GRPC: "v1.0.0"}), ""),  # a folder has no version
    ],
)
def test_a_conflict_is_named_with_module_version_and_place(conflict: Conflict, told: str) -> None:
    service = own({"example.test/otel": "v0.61.0"}, grpc="v1.70.0=./fork", net="v0.34.0=v0.30.0")
    imports = (Import(package="example.test/otel/http", module="example.test/otel", at="main.go:8"),)
    service = Own(modules=service.modules, imports=imports)
    error = fit.refusal(form(conflict), service)
    assert (error.message if error else "") == (f"form woven does not fit this service: {told}" if told else "")


@pytest.mark.parametrize(
    ("package", "refusing"),
    [
        ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", {"orchestrion-otel", "orchestrion-dd"}),
        (
            "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
            {"orchestrion-otel", "orchestrion-dd"},
        ),
        ("github.com/XSAM/otelsql", {"orchestrion-otel", "orchestrion-dd"}),
        ("go.opentelemetry.io/otel/sdk/trace", {"orchestrion-otel", "orchestrion-dd"}),
        ("github.com/DataDog/dd-trace-go/v2/ddtrace/tracer", {"orchestrion-otel", "orchestrion-dd"}),
        ("gopkg.in/DataDog/dd-trace-go.v1/ddtrace/tracer", {"orchestrion-otel", "orchestrion-dd"}),
        ("go.opentelemetry.io/otel", set()),  # spans by hand through whichever provider there is: the form's
    ],
)
def test_a_service_that_instruments_itself_is_not_woven_again(package: str, refusing: set[str]) -> None:
    """double-spans, own-otelhttp, and the other ways to be instrumented by hand."""
    service = Own(modules={package: Module(version="v1.0.0", used="v1.0.0")},
                  imports=(Import(package=package, module=package, at="main.go:8"),))  # fmt: skip
    assert {name for name, one in CATALOG.items() if fit.refusal(one, service)} == refusing


@pytest.mark.parametrize(
    ("service", "refusing"),
    [
        (own(grpc="v1.70.0=./third/grpc", net="v0.34.0"), {"orchestrion-otel", "orchestrion-dd", "ebpf"}),
        (own(grpc="v1.70.0=v1.60.0", net="v0.34.0"), {"ebpf"}),
        (own(grpc="v1.70.0", net="v0.34.0=example.test/net v0.1.0"), {"ebpf"}),
        (own(net="v0.34.0=example.test/net v0.1.0"), set()),
        (own(grpc="v1.82.0", net="v0.53.0"), set()),
        (own(grpc="v1.82.1", net="v0.53.0"), {"ebpf"}),
        (own(), set()),
    ],
)
def test_a_grpc_that_a_form_cannot_work_with(service: Own, refusing: set[str]) -> None:
    """own-grpc-fork-replaced: only a form that would read or weave that module is refused."""
    assert {name for name, one in CATALOG.items() if fit.refusal(one, service)} == refusing


def test_changes_are_by_name_and_kind() -> None:
    service = own(a="v1.0.0", b="v1.2.0", c="v1.0.0", d="v1.0.0=./d", e="v1.0.0")
    built = {
        "a": Module(version="v1.1.0", used="v1.1.0"),
        "b": Module(version="v1.1.0", used="v1.1.0"),
        "c": Module(version="v1.0.0", used="example.test/fork v1.0.0"),
        "d": Module(version="v1.0.0", used="./_beside0"),
        "f": Module(version="v2.0.0", used="v2.0.0"),
    }
    found = fit.changes(service, built)
    assert found == (
        Change(what="a", kind="raised", before="v1.0.0", after="v1.1.0"),
        Change(what="b", kind="lowered", before="v1.2.0", after="v1.1.0"),
        Change(what="c", kind="replaced", before="v1.0.0", after="example.test/fork v1.0.0"),
        Change(what="f", kind="added", after="v2.0.0"),
    )
    assert fit.told(found) == (
        "a v1.0.0 raised to v1.1.0; b v1.2.0 lowered to v1.1.0; c v1.0.0 replaced by example.test/fork v1.0.0;"
        " 1 module added"
    )


def test_imports_of_the_services_own_code_have_their_line(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text('package main\n\nimport (\n\t"os"\n\tother "example.test/lib/x" // why\n)\n')
    lib = {"Path": "example.test/lib", "Version": "v1.0.0"}
    packages: list[Mapping[str, Any]] = [
        {"ImportPath": "os", "Standard": True},
        {"ImportPath": "example.test/deep", "Module": {"Path": "example.test/deep", "Version": "v3.0.0"}},
        {"ImportPath": "example.test/lib/x", "Module": lib, "Imports": ["example.test/deep"]},
        {"ImportPath": "m", "Dir": str(tmp_path), "GoFiles": ["main.go"], "Imports": ["os", "example.test/lib/x"],
         "Module": {"Path": "m", "Main": True}},
    ]  # fmt: skip
    found = read(packages, tmp_path)
    assert found.imports == (Import(package="example.test/lib/x", module="example.test/lib", at="main.go:5"),)
    assert set(found.modules) == {"example.test/lib", "example.test/deep"}


@pytest.mark.parametrize(
    "package",
    [
        "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
        "go.opentelemetry.io/otel/sdk/trace",
        "github.com/DataDog/dd-trace-go/v2/ddtrace/tracer",
    ],
)
def test_double_spans_every_form_names_what_makes_spans_by_hand(package: str) -> None:
    """double-spans and own-otelhttp: woven forms are refused, the agent's is made and its report names the module."""
    by_hand = Own(
        modules={package: Module(version="v0.72.0", used="v0.72.0")},
        imports=(Import(package=package, module=package, at="main.go:6"),),
    )
    named = f"main.go:6 imports {package} v0.72.0; the service "
    for name in ("orchestrion-otel", "orchestrion-dd"):
        refused = fit.refusal(CATALOG[name], by_hand)
        assert refused is not None
        assert named in refused.message
        assert fit.beside(CATALOG[name], by_hand) == ()
    for name in ("baseline", "twin", "ebpf"):
        assert fit.refusal(CATALOG[name], by_hand) is None
    (told,) = fit.beside(CATALOG["ebpf"], by_hand)
    assert told.kind == "beside"
    assert told.what.startswith(named)
    assert fit.told([told]) == told.what
    assert fit.beside(CATALOG["baseline"], by_hand) == ()
