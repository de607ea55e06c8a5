"""`lab runs`: what has been measured."""

from __future__ import annotations

import json

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `runs`."""

    @verb(app, "runs")
    def runs(options: Options) -> int:
        """Every run here, newest last; those that were cut are marked incomplete."""
        with session(options, "runs") as lab:
            from lab.flows import report
            from lab.model.paths import INCOMPLETE_PREFIX, MANIFEST_FILE

            rows = []
            for folder in report.complete(lab.paths):
                manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
                rows.append(
                    {
                        "run_id": folder.name,
                        "scenario": manifest.get("scenario", ""),
                        "profile": manifest.get("profile", ""),
                        "grade": manifest.get("grade", {}).get("word", ""),
                        "forms": [form["name"] for form in manifest.get("forms", [])],
                        "complete": True,
                    }
                )
            cut = sorted(lab.paths.runs.glob(f"{INCOMPLETE_PREFIX}*")) if lab.paths.runs.is_dir() else []
            rows += [{"run_id": path.name.removeprefix(INCOMPLETE_PREFIX), "complete": False} for path in cut]
        lines = [_line(row) for row in rows] or ["no run yet; lab demo makes one"]
        answer(options, {"runs": rows}, "\n".join(lines))
        return 0


def _line(row: dict[str, object]) -> str:
    if not row["complete"]:
        return f"{row['run_id']}  incomplete; the same lab demo goes on with it"
    forms = row["forms"]
    assert isinstance(forms, list)
    return f"{row['run_id']}  {row['scenario']}  {row['profile']}  {row['grade']}  {', '.join(map(str, forms))}"
