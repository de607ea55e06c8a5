"""`lab runs`: what has been measured."""

from __future__ import annotations

from typing import Any

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `runs`."""

    @verb(app, "runs")
    def runs(options: Options) -> int:
        """Every run here, newest last, and which of them are incomplete."""
        with session(options, "runs") as lab:
            from lab.flows import report
            from lab.model.paths import INCOMPLETE_PREFIX, MANIFEST_FILE

            rows: list[dict[str, Any]] = []
            for folder in report.complete(lab.paths):
                try:
                    rows.append(_row(folder.name, (folder / MANIFEST_FILE).read_text(encoding="utf-8")))
                except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                    problem = f"{MANIFEST_FILE} cannot be read: {type(error).__name__}: {error}"
                    rows.append({"run_id": folder.name, "complete": True, "problem": problem})
            cut = sorted(lab.paths.runs.glob(f"{INCOMPLETE_PREFIX}*")) if lab.paths.runs.is_dir() else []
            rows += [{"run_id": path.name.removeprefix(INCOMPLETE_PREFIX), "complete": False} for path in cut]
        lines = [_line(row) for row in rows] or ["no run yet; lab demo makes one"]
        answer(options, {"runs": rows}, "\n".join(lines))
        return 0


def _row(run_id: str, text: str) -> dict[str, Any]:
    from lab.guest.wire import parse

    manifest = parse(text)
    return {
        "run_id": run_id,
        "scenario": manifest.get("scenario", ""),
        "profile": manifest.get("profile", ""),
        "grade": manifest.get("grade", {}).get("word", ""),
        "forms": [form["name"] for form in manifest.get("forms", [])],
        "complete": True,
    }


def _line(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{row['run_id']}  {row['problem']}"
    if not row["complete"]:
        return f"{row['run_id']}  incomplete; the same lab demo goes on with it"
    forms = ", ".join(map(str, row["forms"]))
    return f"{row['run_id']}  {row['scenario']}  {row['profile']}  {row['grade']}  {forms}"
