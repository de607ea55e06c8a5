"""Values, JSON Schema and a commented sample of the config, all from its keys."""

from __future__ import annotations

import itertools
import operator
from typing import Any

from lab.model.config import Config, keys
from lab.model.key import Key

_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", tuple: "array"}


def values(config: Config) -> dict[str, Any]:
    """Every key's value by its path."""
    return {path: _plain(operator.attrgetter(path)(config)) for path in keys()}


def shown(value: Any) -> str:
    """A value in YAML syntax."""
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of lab.yaml."""
    top = schema_object({"schema": {"const": 1, "description": "version of the file format"}})
    for one in keys().values():
        place = top["properties"]
        for part in filter(None, [one.section]):
            place = place.setdefault(part, schema_object({}))["properties"]
        place[one.name] = schema_property(one)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lab.yaml", **top}


def schema_object(properties: dict[str, Any]) -> dict[str, Any]:
    """A mapping that has these keys and no other."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def schema_property(one: Key) -> dict[str, Any]:
    """One key, from its field."""
    found = {"type": _TYPES[one.kind], "default": _plain(one.default), "description": one.help}
    if one.kind is tuple:
        found["items"] = {"type": "string"}
    if one.choices:
        found["enum"] = list(one.choices)
    bounds = {"minimum": one.low, "maximum": one.high} if one.kind in (int, float) else {}
    return found | {name: bound for name, bound in bounds.items() if bound is not None}


def sample() -> str:
    """A lab.yaml with every key at its default, commented out."""
    lines = ["# Every key is optional; the values are the defaults.", "schema: 1"]
    for section, members in itertools.groupby(keys().values(), operator.attrgetter("section")):
        lines += ["", f"{section}:"] if section else [""]
        indent = "  " if section else ""
        lines += [f"{indent}# {one.name}: {shown(_plain(one.default))}  # {one.help}" for one in members]
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
