"""`lab runs`: list the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `runs`."""

    @verb(app, "runs")
    def runs(options: Options) -> int:
        """List the runs, newest last; marks those that are incomplete.

        Compares the names and sizes of each run's files with its manifest; `lab report` compares the contents too.
        """
        with session(options, "runs") as lab:
            from lab.flows import report
            from lab.system.documents import shown_path

            rows = [_row(folder) for folder in report.complete(lab.paths)]
            rows += [{"run_id": name, "complete": False} for name in report.cut(lab.paths)]
            rows += [
                {"run_id": name, "complete": False, "problem": report.HALF} for name in report.half_copied(lab.paths)
            ]
        lines = [shown_path(_line(row)) for row in rows] or ["no runs; create one with lab demo"]
        answer(options, {"runs": rows}, "\n".join(lines))
        return 0


def _row(folder: Path) -> dict[str, Any]:
    from lab.model.errors import LabError
    from lab.runs import sealed
    from lab.system.documents import shown_path

    try:
        manifest, different = sealed.glance(folder)
    except LabError as error:
        name = shown_path(folder.name)
        problem = error.message.removeprefix(f"{name}/").removeprefix(f"{name}: ")
        return {"run_id": folder.name, "complete": True, "problem": problem}
    row = {
        "run_id": folder.name,
        "scenario": manifest.scenario,
        "profile": manifest.profile,
        "grade": manifest.grade.word,
        "forms": [form.name for form in manifest.forms],
        "complete": True,
    }
    if different:
        what = "1 file differs" if len(different) == 1 else f"{len(different)} files differ"
        row["problem"] = f"{what} from the manifest; lab report {folder.name} lists them"
    return row


def _line(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{row['run_id']}  {row['problem']}"
    if not row["complete"]:
        return f"{row['run_id']}  incomplete; run the same lab demo again to resume it"
    forms = ", ".join(map(str, row["forms"]))
    return f"{row['run_id']}  {row['scenario']}  {row['profile']}  {row['grade']}  {forms}"
