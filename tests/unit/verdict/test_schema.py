"""summary.json keeps the schema that is shipped with it, and comes back as the value that it was written from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import decode, encode
from lab.model.errors import Unreadable
from lab.model.summary import Summary
from lab.runs.read import read
from lab.system import documents
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.verdict import summary_schema


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=80)))


@pytest.fixture
def doc(summary: Summary) -> Any:
    """What is written."""
    return json.loads(json.dumps(encode(summary), allow_nan=False))


def faults(schema: dict[str, Any], value: Any, where: str = "$", root: dict[str, Any] | None = None) -> list[str]:
    """A small JSON Schema check: what the shipped schema uses, and nothing else."""
    root = root or schema
    if "$ref" in schema:
        return faults(root["$defs"][schema["$ref"].rpartition("/")[2]], value, where, root)
    if "anyOf" in schema:
        tried = [faults(one, value, where, root) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} not in {schema['enum']}")
    if "type" in schema and not _is(schema["type"], value):
        return [*found, f"{where}: {value!r} is not {schema['type']}"]
    if "minimum" in schema and not schema["minimum"] <= value <= schema.get("maximum", value):
        found.append(f"{where}: {value} out of range")
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


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert summary_schema.TARGET.read_text(encoding="utf-8") == summary_schema.text(), summary_schema.__doc__


def test_the_summary_keeps_its_schema(doc: Any) -> None:
    schema = summary_schema.schema()
    assert faults(schema, doc) == []
    assert faults(schema, {**doc, "grade": {"word": "fine", "reasons": []}}) != []
    assert faults(schema, {**doc, "fewest_blocks": -1}) == ["$.fewest_blocks: -1 out of range"]
    del doc["verdicts"][0]["word"]
    assert faults(schema, doc) == ["$.verdicts[0].word: missing"]


def test_a_summary_comes_back_as_it_was(summary: Summary, doc: Any) -> None:
    assert decode(Summary, doc) == summary
    assert decode(Summary, {**doc, "of a newer lab": 1}) == summary


def test_a_summary_of_an_older_lab_comes_back(summary: Summary, doc: Any) -> None:
    del doc["cells"]["invalid_share"], doc["controls"]["twin"], doc["controls"]["delay_wait"]
    assert decode(Summary, doc).verdicts == summary.verdicts


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("grade",), 1, "grade: an object is expected, not 1"),
        (
            ("grade", "word"),
            "fine",
            'grade.word: one of counted, emulated, noisy, limited, ready is expected, not the string "fine"',
        ),
        (("schema",), 1, "schema: one of 2 is expected, not 1"),
        (("verdicts", 0, "value"), {"get": "1"}, 'verdicts[0].value.get: a number is expected, not the string "1"'),
        (("verdicts", 0, "value"), "1", 'verdicts[0].value: a number is expected, not the string "1"'),
        (
            ("forms", "ebpf", "coverage", "ratio"),
            1.5,
            "forms.ebpf.coverage.ratio: a number from 0 to 1 is expected, not 1.5",
        ),
    ],
)
def test_a_changed_summary_is_refused_by_its_place(tmp_path: Path, doc: Any, place: Any, value: Any, why: str) -> None:
    """One of an older or newer lab, or edited by hand."""
    owner = doc
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = value
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(doc), encoding="utf-8")
    with pytest.raises(Unreadable) as told:
        documents.read(documents.Source(path=path, name="summary.json", fix="lab report"), Summary)
    assert why in told.value.message
    assert told.value.fix == "lab report"
