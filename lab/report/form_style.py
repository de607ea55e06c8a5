"""One look per form, the same in every figure: a colour, a marker and a line dash. Never the colour alone.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), distinct in all common kinds of colour blindness.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.model.summary import Summary
from lab.report.markup import Html, tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """css: class of the colour; marker: circle, square, diamond, triangle, ring or cross; dash: SVG pattern."""

    css: str
    marker: str
    dash: str | None = None


NAME_LETTER: Final = 7.0  # widths of a letter: monospaced, and of a heading
HEAD_LETTER: Final = 7.5
_COMPILE: Final = (
    Look(css="c-blue", marker="square"),
    Look(css="c-sky", marker="diamond", dash="6 2"),
    Look(css="c-green", marker="square", dash="2 2"),
)
_RUN: Final = (
    Look(css="c-red", marker="triangle", dash="8 3 2 3"),
    Look(css="c-purple", marker="triangle", dash="3 3"),
    Look(css="c-yellow", marker="diamond", dash="1 3"),
)
_PLAIN: Final = {
    "baseline": Look(css="c-ink", marker="circle"),
    "twin": Look(css="c-grey", marker="ring", dash="3 2"),
    "control": Look(css="c-mute", marker="cross", dash="1 2"),
}


def looks(summary: Summary) -> dict[str, Look]:
    """A look for each form of the run."""
    return looks_of((name, form.role, form.mechanism) for name, form in summary.forms.items())


def looks_of(forms: Iterable[tuple[str, str, str]]) -> dict[str, Look]:
    """A look for each form of a name, a role and a mechanism; the fourth of one mechanism has that of the first."""
    found: dict[str, Look] = {}
    used = {"compile-time": 0, "run-time": 0}
    for name, role, given in forms:
        if role in _PLAIN:
            found[name] = _PLAIN[role]
        else:
            mechanism = given if given in used else "compile-time"
            choice = _COMPILE if mechanism == "compile-time" else _RUN
            found[name] = choice[used[mechanism] % len(choice)]
            used[mechanism] += 1
    return found


def marker(look: Look, x: float, y: float, size: float = 5.0) -> Html:
    """The form's mark at (x, y)."""
    if look.marker == "square":
        return tag("rect", x=x - size, y=y - size, width=2 * size, height=2 * size, class_=f"mark {look.css}")
    if look.marker == "diamond":
        wide = size * 1.3
        return _polygon(look, (x, y - wide), (x + wide, y), (x, y + wide), (x - wide, y))
    if look.marker == "triangle":
        wide = size * 1.2
        return _polygon(look, (x, y - wide), (x + wide, y + size), (x - wide, y + size))
    if look.marker == "cross":
        whole = 2 * size
        path = f"M{x - size:g} {y - size:g}l{whole:g} {whole:g}M{x - size:g} {y + size:g}l{whole:g} {-whole:g}"
        return tag("path", d=path, class_=f"stroke {look.css}")
    kind = "ring" if look.marker == "ring" else "mark"
    return tag("circle", cx=x, cy=y, r=size, class_=f"{kind} {look.css}")


def _polygon(look: Look, *corners: tuple[float, float]) -> Html:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return tag("polygon", points=points, class_=f"mark {look.css}")


def swatch(look: Look) -> Html:
    """The mark alone, for text and tables."""
    return tag("svg", marker(look, 8, 8, 5), viewBox="0 0 16 16", class_="swatch", aria_hidden="true")


def drawing(width: float, height: float, said: str, *parts: object) -> Html:
    """A figure that scales with the page; `said`: its text alternative."""
    return tag("svg", tag("title", said), *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", class_="figure")


def label(x: float, y: float, said: object, css: str = "", anchor: str | None = None) -> Html:
    return tag("text", said, x=x, y=y, class_=css or None, text_anchor=anchor)


def fitted(name: str, width: float, letter: float = NAME_LETTER) -> str:
    """The name, or as much of its beginning and its end as fits: names of variants differ at the end."""
    room = max(int(width / letter), 3)
    if len(name) <= room:
        return name
    end = (room - 1) * 2 // 5
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def named(x: float, y: float, name: str, width: float, css: str = "name") -> Html:
    """The name of a form as a label that is at most so wide; whole in its title where it is shortened."""
    shown = fitted(name, width, HEAD_LETTER if css == "head" else NAME_LETTER)
    return label(x, y, name, css) if shown == name else tag("text", tag("title", name), shown, x=x, y=y, class_=css)


def lane(look: Look, y: float, name: str, width: float) -> tuple[Html, Html]:
    """A form's mark and name at the left of its row, before a plot that begins at `width`."""
    return marker(look, 8, y, 5), named(22, y + 4, name, width - 22)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Html:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=css)


def box(x: float, y: float, width: float, height: float, css: str, said: str | None = None) -> Html:
    return tag("rect", tag("title", said) if said else None, x=x, y=y, width=max(width, 0.0), height=height, class_=css)


def doubted(unsafe: object, *parts: Html) -> list[Html]:
    """The marks of one figure; dim where it is unsafe."""
    return [tag("g", *parts, class_="doubted")] if unsafe else list(parts)


def bar(ratio: float | None) -> Html:
    """A share as a bar, as wide as its container."""
    widths = ((100, "void"), (100 * (ratio or 0.0), "fill"))
    shapes = (tag("rect", x=0, y=0, width=width, height=6, class_=css) for width, css in widths)
    return tag("svg", *shapes, viewBox="0 0 100 6", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def legend(*keys: tuple[str, str]) -> Html:
    """A legend of boxes: class and name of each."""
    boxes = ((tag("svg", box(1, 3, 30, 10, css), viewBox="0 0 32 16", class_="key", aria_hidden="true"), name)
             for css, name in keys)  # fmt: skip
    return tag("p", *(tag("span", *pair) for pair in boxes), class_="legend")
