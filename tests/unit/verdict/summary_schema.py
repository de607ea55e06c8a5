"""The JSON Schema of summary.json, from its classes. Write it: ./labw python -m tests.unit.verdict.summary_schema"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from lab.model.summary import SCHEMA, Summary

TARGET: Final = Path(__file__).parents[3] / "lab/verdict/summary.schema.json"
PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema() -> dict[str, Any]:
    """Draft 2020-12; each class once, below $defs."""
    defs: dict[str, Any] = {}
    whole = _of(Summary, defs)
    title = f"summary.json of a run, schema {SCHEMA}. More keys may be added; these stay."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **whole, "$defs": defs}


def text() -> str:
    """A line per key of a class."""
    whole = schema()
    classes = []
    for name, one in whole.pop("$defs").items():
        head = json.dumps({key: value for key, value in one.items() if key != "properties"}, ensure_ascii=False)
        keys = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in one["properties"].items())
        classes.append(f'  {json.dumps(name)}: {head[:-1]}, "properties": {{\n{keys}\n  }}}}')
    return json.dumps(whole, indent=1)[:-2] + ',\n "$defs": {\n' + ",\n".join(classes) + "\n }\n}\n"


def needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _of(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bounds = {"minimum": args[1].low, **({"maximum": args[1].high} if args[0] is float else {})}
        return {**_of(args[0], defs), **bounds}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(arg, defs) for arg in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _of(args[0], defs)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(args[1], defs)}
    if hint is object:
        return {}
    if not dataclasses.is_dataclass(hint):
        return {"type": PLAIN[hint]}
    assert isinstance(hint, type)
    if hint.__name__ not in defs:
        defs[hint.__name__] = {}  # its place, before the classes that it is made of
        hints = typing.get_type_hints(hint, include_extras=True)
        defs[hint.__name__] = {
            "type": "object",
            "description": hint.__doc__,
            "required": [field.name for field in dataclasses.fields(hint) if needed(field)],
            "properties": {field.name: _of(hints[field.name], defs) for field in dataclasses.fields(hint)},
        }
    return {"$ref": f"#/$defs/{hint.__name__}"}


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
