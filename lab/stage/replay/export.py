"""Recordings and figures as files for slides, and for a laptop without lab."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.flows import report
from lab.model.errors import PreconditionError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.report import pictures
from lab.stage.page.alone import page
from lab.stage.replay import Format, files, recordings
from lab.stage.replay.asciicast import cast
from lab.stage.replay.playback import marked
from lab.stage.stream.events import Curtain
from lab.system import private, proc
from lab.system.wait import Deadline

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "chrome")
MAC: Final = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
DRAWN_S: Final = 60.0
SHARP: Final = 2  # device pixels per pixel


def write(lab: Lab, what: str | None, form: Format, folder: Path, *, figure: str | None = None) -> list[Path]:
    """Write the files and return their paths. Raises UsageError, and PreconditionError for a PNG without a browser."""
    if figure is not None and form not in {"svg", "png"}:
        raise UsageError("--figure is for --format svg and png", fix="leave it out, or add --format svg")
    if form in {"svg", "png"}:
        return _figures(lab, what, form == "png", folder, figure)
    found = recordings.find(lab, what)
    for text in found.left_out:
        lab.bus.emit(Notice(level="warning", text=text))
    if form == "cast":
        text = cast(found.records, found.title)
        if text.count("\n") < 2:
            raise UsageError("no beat of this recording printed anything", fix="lab export --format page")
        return [files.add(folder, found, ".cast", text)]
    # a curtain that fell on stage would leave the page black
    records = [marked(record, found.day) for record in found.records if not isinstance(record.event, Curtain)]
    return [files.add(folder, found, ".html", page(records, found.title))]


def _figures(lab: Lab, what: str | None, png: bool, folder: Path, figure: str | None) -> list[Path]:  # noqa: FBT001
    run = report.find(lab.paths, what)
    found = pictures.pictures(report.summary(run))
    if figure is not None:
        found = _one(found, figure)
    program = _browser() if png else ""
    written = []
    for name, svg in found.items():
        data = _drawn(program, svg, lab) if png else svg.encode()
        written.append(files.numbered(folder, f"{run.name}-{name}", ".png" if png else ".svg", data))
    return written


def _one(found: Mapping[str, str], figure: str) -> dict[str, str]:
    if figure not in found:
        known = ", ".join(found) or "none"
        raise UsageError(f"no figure {figure!r}{nearest(figure, found)} (known: {known})", fix="name one of them")
    return {figure: found[figure]}


def _browser() -> str:
    path = next((path for name in BROWSERS if (path := proc.which(name)) is not None), None)
    path = path or (MAC if MAC.exists() else None)
    if path is None:
        raise PreconditionError(
            "a PNG is drawn by Chromium or Chrome, and neither is installed",
            fix="lab export --format svg, or install Chromium",
        )
    return str(path)


def _drawn(program: str, svg: str, lab: Lab) -> bytes:
    """The SVG as the browser draws it, a PNG."""
    wide, high = pictures.size(svg)
    with tempfile.TemporaryDirectory(prefix="lab-export-") as place:
        page_of = Path(place) / "figure.html"
        style = "<style>body{margin:0}svg{display:block}</style>"
        page_of.write_text(f'<!doctype html><meta charset="utf-8">{style}{svg}', encoding="utf-8")
        shot = Path(place) / "figure.png"
        argv = (
            program, "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            *(("--no-sandbox",) if private.is_root() else ()),  # Chromium has no sandbox for root
            f"--user-data-dir={place}/profile",
            f"--force-device-scale-factor={SHARP}", f"--window-size={wide},{high}", f"--screenshot={shot}",
            page_of.as_uri(),
        )  # fmt: skip
        deadline = Deadline.after(DRAWN_S, lab.cancel)
        proc.check(argv, deadline=deadline, error=PreconditionError, fix="lab export --format svg")
        if not shot.is_file():  # a packaged browser may have a folder for temporary files of its own
            raise PreconditionError(f"{program} ended well and drew nothing", fix="lab export --format svg")
        return shot.read_bytes()
