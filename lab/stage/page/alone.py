"""The replay page: one HTML file with records, style and modules in it. It needs no server, and asks no network."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from typing import Final

from lab.stage.page.assets import FOLDER
from lab.stage.page.public import public, written
from lab.stage.stream.keys import KEYS
from lab.stage.stream.records import StageRecord

ENTRY: Final = "replay.js"
# how our own modules import and export: one line each
IMPORT: Final = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+\.js)";$', re.MULTILINE)
EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const) (\w+))", re.MULTILINE)


def page(records: Sequence[StageRecord], title: str) -> str:
    """The whole file. Private records are left out of it."""
    style = (FOLDER / "stage.css").read_text(encoding="utf-8")
    script = bundle()
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'"
    data = written([doc for record in records if (doc := public(record)) is not None])
    whole = (FOLDER / "stage.html").read_text(encoding="utf-8")
    held = f'<script type="application/json" id="records">{data}</script>'
    parts = {
        "{keys}": written(KEYS),
        "<title>lab</title>\n": f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{html.escape(title)}</title>\n",
        '<link rel="icon" href="icon.svg">\n': "",
        '<link rel="stylesheet" href="stage.css">': f"<style>{style}</style>",
        '<script type="module" src="main.js"></script>': held,
        "</body>": f'<script type="module">{script}</script>\n</body>',
    }
    for mark, text in parts.items():
        whole = whole.replace(mark, text, 1)
    return whole


def bundle() -> str:
    """All modules that the replay needs as one: each a function that returns what it exports."""
    done: dict[str, str] = {}
    _add(ENTRY, done)
    return "".join(done.values())


def _add(name: str, done: dict[str, str]) -> None:
    source = (FOLDER / name).read_text(encoding="utf-8")
    for _, needed in IMPORT.findall(source):
        if needed not in done:
            _add(needed, done)
    names = EXPORT.findall(source)
    body = EXPORT.sub("", IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};", source))
    done[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _variable(name: str) -> str:
    return "module_" + name.partition(".")[0]


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
