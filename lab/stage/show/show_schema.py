"""The show file described from the dataclasses that read it: JSON Schema, and the reference page."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

from lab.model import describe
from lab.model.key import Key, walk
from lab.stage.beat.expect import FORMS
from lab.stage.kinds import KINDS
from lab.stage.show.show import BeatKeys, ShowKeys
from lab.stage.show.show_file import name_of


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a show file."""
    expect = [describe.schema_object(_properties(form)) | {"required": [name]} for name, form in FORMS.items()]
    beats = [
        describe.schema_object(
            _properties(BeatKeys)
            | _properties(kind)
            | {"kind": {"const": name}, "expect": {"type": "array", "items": {"anyOf": expect}}}
        )
        | {"required": ["id", "kind", "title", *kind.NEEDED], "title": name}
        for name, kind in KINDS.items()
    ]
    top = {"schema": {"const": 1}} | _properties(ShowKeys)
    top["cuts_min"] = top["cuts_min"] | {"items": {"type": "number"}}
    top["beats"] = {"type": "array", "items": {"oneOf": beats}, "minItems": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "show file",
        **describe.schema_object(top),
        "required": ["title", "beats"],
    }


def markdown() -> str:
    """The reference page of a show file."""
    parts = [
        "# The show file",
        "Made by `lab show --reference`. How to write one: [write your own show](../how-to/write-your-own-show.md).",
        "## At the top",
        "`schema: 1`, `beats` (a list, below), and:",
        _table(walk(ShowKeys)),
        "## Every beat",
        "`id`, `kind` and `title` are needed; `expect` is a list, below.",
        _table(walk(BeatKeys)),
    ]
    for name, kind in KINDS.items():
        parts += [f"## kind: {name}", (inspect.getdoc(kind) or "").partition("\n\n")[0]]
        needed = f"Needed: {', '.join(f'`{key}`' for key in kind.NEEDED)}. " if kind.NEEDED else ""
        gives = f"Expectations that it can meet: {', '.join(kind.GIVES)}." if kind.GIVES else "It expects nothing."
        values = f" Values: {', '.join(f'`{value}`' for value in kind.VALUES)}." if kind.VALUES else ""
        parts += [f"{needed}{gives}{values}", _table(walk(kind))]
    parts += ["## expect", "Each entry has one of these forms, with the key that names it first."]
    for name, form in FORMS.items():
        parts += [f"### {name}", inspect.getdoc(form) or "", _table(walk(form))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _properties(kind: type[Any]) -> dict[str, Any]:
    return {name_of(one): _finite(describe.schema_property(one)) for one in walk(kind)}


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: without a bound there is no default either."""
    return {name: value for name, value in found.items() if not (isinstance(value, float) and math.isinf(value))}


def _table(keys: Iterable[Key]) -> str:
    rows = ["| key | default | what it means |", "|---|---|---|"]
    for one in keys:
        default = "" if one.default in ("", ()) or one.default in (math.inf, -math.inf) else f"`{_shown(one)}`"
        rows.append(f"| `{name_of(one)}` | {default} | {one.help} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _shown(one: Key) -> str:
    return describe.shown(list(one.default) if isinstance(one.default, tuple) else one.default)
