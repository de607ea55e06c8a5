"""summary.json keeps the schema that is shipped with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=80)))


def faults(schema: dict[str, Any], value: Any, where: str = "$", root: dict[str, Any] | None = None) -> list[str]:
    """A small JSON Schema check: what the shipped schema uses, and nothing else."""
    root = root or schema
    if "$ref" in schema:
        return faults(root["$defs"][schema["$ref"].rpartition("/")[2]], value, where, root)
    found: list[str] = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} not in {schema['enum']}")
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(kind, value) for kind in kinds):
        return [*found, f"{where}: {value!r} is not {kinds}"]
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        found.append(f"{where}: {value} too small")
    if isinstance(value, dict):
        found += [f"{where}.{key}: missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            part = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            found += faults(part, item, f"{where}.{key}", root) if isinstance(part, dict) else []
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += faults(schema["items"], item, f"{where}[{index}]", root)
    return found


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
        "null": (type(None),),
    }  # fmt: skip
    return kind in kinds and isinstance(value, kinds[kind])


def test_the_summary_keeps_its_schema(repo: Path, summary: dict[str, Any]) -> None:
    schema = json.loads((repo / "lab/verdict/summary.schema.json").read_text(encoding="utf-8"))
    plain = json.loads(json.dumps(summary, allow_nan=False))
    assert faults(schema, plain) == []
    assert faults(schema, {**plain, "grade": {"word": "fine", "reasons": []}}) != []
    del plain["verdicts"][0]["word"]
    assert faults(schema, plain) == ["$.verdicts[0].word: missing"]
