"""The page's own files: one HTML, one style sheet, plain ES modules. They are served as they are, without a build."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.stage.page.public import written
from lab.stage.stream.keys import KEYS

FOLDER: Final = Path(__file__).with_name("static")
TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def index() -> str:
    """The page for the server: it asks for the rest, and knows the table of keys."""
    return (FOLDER / "stage.html").read_text(encoding="utf-8").replace("{keys}", written(KEYS))


def files() -> dict[str, tuple[str, bytes]]:
    """name -> media type and content of what the page asks for. Read once."""
    return {
        path.name: (TYPES[path.suffix], path.read_bytes()) for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES
    }
