"""One Record per line on stdout, for programs."""

from __future__ import annotations

import json
import sys
from typing import Self, TextIO

from lab.model.events import Record


class JsonLines:
    """Writes each record as it comes; a closed pipe ends the writing, not the work."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        return None

    def __call__(self, record: Record) -> None:
        print(json.dumps(record.to_json(), ensure_ascii=False), file=self._stream, flush=True)
