"""A form looks on the page as it does in the report, whatever its name and its place are."""

from __future__ import annotations

from pathlib import Path

from lab.report.form_style import looks_of
from lab.stage.page import kept
from lab.stage.page.looks import looks
from lab.stage.stream.events import ShowStarted


def shown(forms: tuple[str, ...], **mechanisms: str) -> dict[str, tuple[object, ...]]:
    show = ShowStarted(title="", beats=(), slot_s=1, forms=forms, source="live", machine="m", mechanisms=mechanisms)
    return {name: tuple(look.values()) for name, look in looks(show).items()}


def test_what_a_form_is_decides_not_its_place() -> None:
    for forms in (("baseline", "ebpf"), ("orchestrion-otel", "orchestrion-dd", "ebpf")):
        assert shown(forms)["ebpf"] == ("red", "triangle", False)
    assert shown(("orchestrion-otel", "orchestrion-dd"))["orchestrion-dd"] == ("sky", "diamond", False)
    report = looks_of([("mine", "form", "run-time")])["mine"]
    assert shown(("mine",), mine="run-time")["mine"][:2] == (report.css.removeprefix("c-"), report.marker)


def test_only_forms_that_make_no_spans_are_plain() -> None:
    found = shown(("baseline", "twin", "delay-cpu", "control-plane", "constructor"), constructor="compile-time")
    assert [name for name, (*_, plain) in found.items() if plain] == ["baseline", "twin", "delay-cpu"]


def test_the_cookie_of_a_chosen_port_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first = kept.cookie(tmp_path, 8000)
    assert kept.cookie(tmp_path, 8000) == first
    assert kept.cookie(tmp_path, 8001) != first
    assert kept.cookie(tmp_path, 0) == ""
    (place,) = tmp_path.glob("page-8000*")
    assert place.stat().st_mode & 0o077 == 0
    place.write_text("x")
    assert kept.cookie(tmp_path, 8000) not in ("x", first)
