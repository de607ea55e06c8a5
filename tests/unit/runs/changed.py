"""Changes of a made-up run, and what its report says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import report, verdict
from lab.guest.wire import encode
from lab.runs.read import read
from tests.unit.report import synthetic

FORMS = {name: synthetic.FORMS[name] for name in ("baseline", "ebpf")}


def change(path: Path, **values: Any) -> None:
    """Other values in a JSON document, sealed: the machine wrote it so."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def cell(root: Path, form: str = "ebpf") -> Path:
    return next((root / "guest/cells").glob(f"*{form}*"))


def told(root: Path) -> list[str]:
    """The problems of a sealed run, after every word of its report was written."""
    summary = verdict.summarize(read(synthetic.seal(root)))
    json.dumps(encode(summary), allow_nan=False).encode()
    for write in (report.html, report.markdown, report.junit):
        write(summary).encode()
    return list(summary.problems)
