"""The looks of a show's forms on the audience page: those of the report, by what each form is."""

from __future__ import annotations

from lab.report.form_style import looks_of
from lab.stage.beat.form_names import TWIN, mechanism
from lab.stage.stream.events import ShowStarted


def looks(show: ShowStarted) -> dict[str, dict[str, object]]:
    """form -> colour, shape, and whether it is plain: it makes no spans, as it should be."""
    known = {name: show.mechanisms.get(name) or mechanism(name) for name in show.forms}
    roles = {name: _role(name, known[name]) for name in show.forms}
    found = looks_of((name, roles[name], known[name]) for name in show.forms)
    return {
        name: {"colour": look.css.removeprefix("c-"), "shape": look.marker, "plain": roles[name] != "form"}
        for name, look in found.items()
    }


def _role(name: str, made: str) -> str:
    if made != "none":
        return "form"
    return name if name in TWIN else "control"
