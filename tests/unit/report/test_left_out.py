"""What a form changes, and a form that has no binary: in manifest, summary, report, Markdown, JUnit and exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import forms, report, verdict
from lab.flows import left_out
from lab.flows.report import Reported
from lab.guest.wire import GuestManifest, Plan, encode, load
from lab.model.errors import DemoError
from lab.model.facts import MachineFacts
from lab.model.form import Artifact
from lab.model.loading.load_scenario import load_scenario
from lab.model.own import Change
from lab.model.summary import Summary
from lab.runs import manifest
from lab.runs.read import read
from tests.unit.report import synthetic

CHANGES = (
    Change(what="orchestrion.tool.go", kind="file"),
    Change(what="google.golang.org/protobuf", kind="raised", before="v1.36.11", after="v1.36.12"),
    Change(what="go.opentelemetry.io/otel", kind="added", after="v1.47.0"),
    Change(what="main.go:6 imports otelhttp v0.72.0; the service makes these spans itself", kind="beside"),
)
REFUSED = DemoError("form orchestrion-dd does not fit this service: main.go:8 imports a v1", fix="leave it out")


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    """A run whose woven form changes modules, and in which another form has no binary."""
    root = tmp_path / "run"
    synthetic.write(root, requests=20)
    plan = load(Plan, (root / "guest/plan.json").read_text(encoding="utf-8"))
    catalog = forms.catalog(synthetic.ROOT)
    named = tuple(catalog[name] for name in plan.forms if name in catalog)
    sha256 = plan.forms["orchestrion-otel"].sha256
    built = Artifact(
        name="orchestrion-otel", key="k", path=root, sha256=sha256, size_bytes=1, build_id="", changes=CHANGES
    )
    facts = manifest.Circumstances(
        provider="local", accel="none", image_id="", guest=MachineFacts(), forms=named,
        artifacts={built.name: built}, playbook_digest="",
        scenario=load_scenario(synthetic.ROOT / "demo/scenarios/shop.yaml"), argv=("lab", "demo"),
        left_out=left_out.left_out([catalog["orchestrion-dd"]], {"orchestrion-dd": REFUSED}),
    )  # fmt: skip
    seal = load(GuestManifest, (root / "guest/manifest.json").read_text(encoding="utf-8"))
    manifest.publish(root, manifest.document(plan, facts, manifest.files(root, seal)))
    return verdict.summarize(read(root))


def test_changes_and_forms_without_a_binary_are_everywhere(summary: Summary) -> None:
    assert encode(summary.left_out) == [
        {"form": "orchestrion-dd", "title": "Orchestrion as shipped (dd-trace-go)", "reason": REFUSED.message,
         "fix": "leave it out"}
    ]  # fmt: skip
    changes = summary.forms["orchestrion-otel"].changes
    assert [change.what for change in changes] == [change.what for change in CHANGES]
    page, text, suites = report.html(summary), report.markdown(summary), report.junit(summary)
    for said in (
        "google.golang.org/protobuf v1.36.11 raised to v1.36.12",
        "orchestrion.tool.go replaced by the form",
        "main.go:6 imports otelhttp v0.72.0; the service makes these spans itself",  # double-spans
    ):
        assert said in page.replace("&#39;", "&#x27;")
    assert "orchestrion-dd</b> was not built: form orchestrion-dd does not fit this service" in page
    assert "- **orchestrion-dd**: NOT BUILT. form orchestrion-dd does not fit this service" in text.replace("\\", "")
    assert "orchestrion-dd: not built" in suites
    assert "anything about orchestrion-dd: it was not built" in summary.may_not_claim
    done = Reported(directory=Path(), html=Path(), summary=summary, lines=())
    assert done.exit_code == 6


def test_a_reason_has_the_first_lines_of_the_compiler() -> None:
    error = DemoError("form x does not build", fix="f", detail="# m\n./main.go:3:15: undefined: nothing\nexit 1")
    assert left_out.reason(error) == "form x does not build: ./main.go:3:15: undefined: nothing"
    assert left_out.reason(REFUSED) == REFUSED.message
