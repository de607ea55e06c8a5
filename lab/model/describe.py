"""The config told: values, JSON Schema and the commented sample, all from the dataclasses."""

from __future__ import annotations

import typing
from typing import Any

from lab.model.config import Config
from lab.model.loading.load_config import SECTIONS, keys

_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}


def values(config: Config) -> dict[str, Any]:
    """Every key's value by its path."""
    out: dict[str, Any] = {}
    for path, (_, item) in keys().items():
        owner: Any = getattr(config, path.split(".", maxsplit=1)[0]) if "." in path else config
        value = getattr(owner, item.name)
        out[path] = list(value) if isinstance(value, tuple) else value
    return out


def shown(value: Any) -> str:
    """A value as it would stand in YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of lab.yaml."""
    properties: dict[str, Any] = {"schema": {"const": 1, "description": "version of this file's shape"}}
    for path, (owner, item) in keys().items():
        place = properties
        if "." in path:
            section = path.split(".", maxsplit=1)[0]
            place = properties.setdefault(section, {"type": "object", "additionalProperties": False, "properties": {}})[
                "properties"
            ]
        place[item.name] = _property(typing.get_type_hints(owner)[item.name], item.metadata["help"], item.default)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lab.yaml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(hint: Any, help_text: str, default: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": {"type": "string"}, "default": list(default), "description": help_text}
    return {"type": _TYPES[hint], "default": default, "description": help_text}


def sample() -> str:
    """A lab.yaml with every key at its default, commented out."""
    lines = ["# Every key is optional; the values are the defaults.", "schema: 1"]
    section = ""
    for path, (_, item) in keys().items():
        head = path.split(".", maxsplit=1)[0] if "." in path else ""
        if head != section and head in SECTIONS:
            lines += ["", f"{head}:"]
            section = head
        indent = "  " if head else ""
        if not head and section:
            lines.append("")
            section = ""
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        lines.append(f"{indent}# {item.name}: {shown(default)}  # {item.metadata['help']}")
    return "\n".join(lines) + "\n"
