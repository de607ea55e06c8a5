"""Build HTML and SVG: every string is escaped unless it is already `Html`. Style attributes are not allowed.

Text from a run is hostile: bidirectional and control characters are shown as escapes, long text is truncated.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

# C0 and C1 controls, zero-width and bidirectional marks: they can hide or reorder text
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)
LONGEST: Final = 800  # a reason may include the output of a service; a name that long is an attack
_VOID: Final = frozenset({"br", "meta", "hr", "col"})


class Html(str):
    """Markup that is safe as it is."""

    __slots__ = ()


def clean(value: object, longest: int = LONGEST) -> str:
    """Text without invisible characters, at most `longest` characters."""
    text = str(value)
    if len(text) > longest:
        text = text[:longest] + "…"
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def text(value: object, longest: int = LONGEST) -> Html:
    """Escaped text; `Html` is returned unchanged."""
    return value if isinstance(value, Html) else Html(html.escape(clean(value, longest)))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_` is class, underscores become hyphens; None children and attributes are left out."""
    if "style" in attributes:
        raise ValueError("a style attribute requires an unsafe content policy")
    attrs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(_number(value), 2000))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{attrs}>")
    inner = "".join(text(child) for child in children if child is not None)
    return Html(f"<{name}{attrs}>{inner}</{name}>")


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def join(parts: Iterable[object]) -> Html:
    """All parts but None, one after the other."""
    return Html("".join(text(part) for part in parts if part is not None))


def link(path: str, said: str | None = None) -> Html:
    """A relative link to a file of the run; a path outside the run directory is shown as text."""
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        return tag("code", path)
    return tag("a", said or path, href=quote(path, safe="/"))


def table(head: Iterable[object], body: Iterable[Iterable[object]], *, class_: str | None = None) -> Html:
    """A table; a cell that is `Html` starting with <td or <th is used as it is."""
    top = tag("tr", *(_cell("th", cell, scope="col") for cell in head))
    rows = (tag("tr", *(_cell("td", cell) for cell in row)) for row in body)
    whole = tag("table", tag("thead", top), tag("tbody", *rows), class_=class_)
    return tag("div", whole, class_="scroll")


def _cell(name: str, value: object, **attributes: object) -> Html:
    if isinstance(value, Html) and value.startswith(("<td", "<th")):
        return value
    return tag(name, value, **attributes)


def listed(items: Sequence[object], class_: str = "causes") -> Html | None:
    """A list; None when it is empty."""
    return tag("ul", *(tag("li", item) for item in items), class_=class_) if items else None


def number(value: object) -> Html:
    """A right-aligned table cell."""
    return tag("td", value, class_="n")


def part(ident: str, title: str, lead: object, *children: object) -> Html:
    """One numbered part of the page."""
    head = tag("header", tag("h2", title), tag("p", lead, class_="lead"))
    return tag("section", head, *children, id=ident)
