"""manifest.json of a run: what each form's build brought in, by its binary's own modules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab import forms, report, verdict
from lab.guest.wire import GuestManifest, Plan, load
from lab.model.errors import FetchError
from lab.model.facts import MachineFacts
from lab.model.form import Artifact
from lab.model.loading.load_scenario import load_scenario
from lab.model.run import tool_versions
from lab.runs import manifest, sealed
from lab.runs.read import read
from tests.unit.report import synthetic

PLAIN = ("golang.org/x/net", "google.golang.org/grpc")


def artifact(name: str, sha256: str, modules: tuple[str, ...] | None, woven: tuple[str, ...] | None) -> Artifact:
    facts = {"go": "go1.26.1", "packages": str(100 + len(name))}
    return Artifact(
        name=name, key="k" * 64, path=Path(name), sha256=sha256, size_bytes=1, build_id="b", modules=modules,
        woven_files=woven, facts=facts,
    )  # fmt: skip


def written(root: Path, *, told: bool = True) -> dict[str, tuple[int | None, int | None]]:
    """Form -> (modules added, files changed) of the manifest, through the reader that verdict uses."""
    synthetic.write(root, requests=20)
    plan = load(Plan, (root / "guest/plan.json").read_text(encoding="utf-8"))
    catalog = forms.catalog(synthetic.ROOT)
    otel = (*PLAIN, "go.opentelemetry.io/otel", "lab.example/otelboot")
    built = (
        artifact("baseline", plan.forms["baseline"].sha256, PLAIN, ()),
        artifact("orchestrion-otel", plan.forms["orchestrion-otel"].sha256, otel if told else None, ("a.go", "b.go")),
    )
    of_each = {each.name: each for each in built}
    facts = manifest.Circumstances(
        provider="local", accel="none", image_id="", guest=MachineFacts(), artifacts=of_each,
        forms=tuple(catalog[name] for name in plan.forms if name in catalog),
        scenario=load_scenario(synthetic.ROOT / "demo/scenarios/shop.yaml"), playbook_digest="", argv=("lab", "demo"),
    )  # fmt: skip
    seal = load(GuestManifest, (root / "guest/manifest.json").read_text(encoding="utf-8"))
    manifest.publish(root, manifest.document(plan, facts, manifest.files(root, seal)))
    return {form.name: (form.modules_added, form.files_changed) for form in read(root).manifest.forms}


def test_modules_are_counted_against_the_uninstrumented_binary(tmp_path: Path) -> None:
    found = written(tmp_path / "run")
    assert found["orchestrion-otel"] == (2, 2)
    assert found["baseline"] == (0, 0)
    kept = json.loads((tmp_path / "run/manifest.json").read_text(encoding="utf-8"))["artifacts"]
    assert kept[1]["modules"][-1] == "lab.example/otelboot"
    assert kept[1]["woven_files"] == ["a.go", "b.go"]


def test_what_differs_between_programs_is_no_fact_of_the_run(tmp_path: Path) -> None:
    written(tmp_path / "run")
    run = read(tmp_path / "run")
    assert run.manifest.toolchain == {"go": "go1.26.1"}
    earlier = replace(run.manifest, toolchain={"go": "go1.26.1", "packages": "194"})
    assert verdict.summarize(replace(run, manifest=earlier)).provenance.toolchain == {"go": "go1.26.1"}
    assert replace(earlier, artifacts=()).versions == earlier.toolchain, "an earlier version listed no artifacts"
    assert tool_versions([]) == {}


def test_what_instruments_is_told_with_its_version() -> None:
    weaver, agent = {"example.org/weaver": "v1.12.0"}, {"example.org/agent": "v0.24.0"}
    made = [replace(artifact(name, "s", None, None), made_by=by) for name, by in (("a", weaver), ("agent", agent))]
    assert tool_versions([*made, artifact("plain", "s", None, None)]) == {"go": "go1.26.1", **agent, **weaver}
    other = replace(made[0], made_by={"example.org/weaver": "v1.13.0"})
    assert tool_versions([made[0], other])["example.org/weaver"] == "v1.12.0 and v1.13.0"


def test_what_no_binary_tells_is_unknown(tmp_path: Path) -> None:
    assert written(tmp_path / "run", told=False)["orchestrion-otel"] == (None, 2)


def edited(root: Path, **values: object) -> None:
    """Other values in manifest.json, by hand."""
    path = root / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


@pytest.mark.parametrize(
    "values",
    [
        {"threshold_pct": {"cpu_s_per_1k_requests": 90.0}},
        {"floor_pct": {"cpu_s_per_1k_requests": 0.1}},
        {"primary": ["rss_mib"]},
        {"image_id": "another"},
        {"toolchain": {"go": "go1.1"}},
        {"unknown_key": 1},
    ],
)
def test_a_manifest_that_was_edited_gets_no_report(tmp_path: Path, values: dict[str, object]) -> None:
    root = tmp_path / "run"
    written(root)
    assert read(root).problems == ()
    edited(root, **values)
    with pytest.raises(
        FetchError, match=r"changed since it was sealed: manifest\.json \(different content\)"
    ) as caught:
        read(root)
    assert caught.value.fix
    assert sealed.glance(root)[1] == {"manifest.json": "different content"}


def test_a_manifest_of_an_earlier_lab_is_read_with_a_doubt_that_the_report_shows(tmp_path: Path) -> None:
    root = tmp_path / "run"
    written(root)
    edited(root, self_sha256="")
    run = read(root)
    assert run.problems == ("manifest.json has no digest of its own (an earlier lab wrote it): it was not compared",)
    summary = verdict.summarize(run)
    assert run.problems[0] in report.html(summary)
    assert "no digest of its own" in report.markdown(summary)
