"""The command line as a person and a program meet it: help, answers, errors with a fix, exit codes."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from lab.cli import main
from lab.cli.app import VERBS
from lab.model.errors import all_errors
from tests.support import ROOT, run_lab


def test_help_names_every_verb(tmp_path: Path) -> None:
    done = run_lab("--help", home=tmp_path)
    assert done.code == 0
    listed = re.findall(r"^  ([a-z-]+)  ", done.stdout.split("Commands:")[1], flags=re.MULTILINE)
    assert set(listed) == set(VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_and_the_common_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--json", "--plain", "--quiet", "--verbose", "--home"):
        assert option in said


def test_usage_errors_exit_2_and_suggest(tmp_path: Path) -> None:
    done = run_lab("dmeo", home=tmp_path)
    assert done.code == 2
    assert "demo" in done.stderr
    assert run_lab("demo", "--bogus", home=tmp_path).code == 2


def test_config_problems_exit_3_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("schema: 1\nmachine: {memory_mib: 2GiB, cpu: 2}\n")
    done = run_lab("config", home=tmp_path / "h", cwd=tmp_path, env={"LAB_DEMO_SEED": "x"})
    assert done.code == 3
    for part in ("lab.yaml:2", "write 2048", "did you mean 'cpus'?", "LAB_DEMO_SEED", "fix:"):
        assert part in done.stderr
    assert done.stdout == ""


def test_a_demo_that_names_unknown_things_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = run_lab("demo", "shpo", "--form", "baseline,ebfp", "--profile", "fast", home=tmp_path)
    assert done.code == 3
    for part in ("did you mean 'shop'?", "did you mean 'ebpf'?", "no profile 'fast'"):
        assert part in done.stderr
    assert not (tmp_path / "machines").exists()


def test_json_answers_are_one_document(tmp_path: Path) -> None:
    for words in (["paths"], ["config"], ["forms"], ["runs"], ["config", "--schema"], ["status"], ["cache", "ls"]):
        done = run_lab(*words, "--json", home=tmp_path)
        assert done.code == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict), words


def test_the_sample_config_is_valid_and_says_every_key(tmp_path: Path) -> None:
    sample = run_lab("config", "--sample", home=tmp_path).stdout
    live = re.sub(r"^(\s*)# (\w+: )", r"\1\2", sample, flags=re.MULTILINE)
    (tmp_path / "lab.yaml").write_text(live)
    done = run_lab("config", "--json", home=tmp_path / "h", cwd=tmp_path)
    assert done.code == 0, done.stderr
    told = json.loads(done.stdout)
    assert all(row["origin"].startswith("project file") for row in told.values())
    schema = json.loads(run_lab("config", "--schema", home=tmp_path).stdout)
    assert set(yaml.safe_load(live)) <= set(schema["properties"])


def test_no_run_is_a_usage_error_with_a_fix(tmp_path: Path) -> None:
    done = run_lab("report", home=tmp_path)
    assert done.code == 2
    assert "fix:   lab demo" in done.stderr


def test_a_bug_is_one_line_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x").mkdir()
    (tmp_path / "runs" / "x" / "manifest.json").write_bytes(b"\xff")
    done = run_lab("runs", home=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert done.code == 1
    assert "this is a bug in lab" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("lab-bug-*.txt"))) == 1


def test_read_only_verbs_leave_nothing_behind(tmp_path: Path) -> None:
    for words in (["status"], ["runs"], ["paths"], ["config"], ["forms"]):
        assert run_lab(*words, home=tmp_path / "h").code == 0
    assert not (tmp_path / "h").exists()


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    for cls in all_errors():
        assert re.search(rf"^\| {cls.exit_code} \|.*`{cls.__name__}`", page, flags=re.MULTILINE), cls


def test_only_cli_and_render_print() -> None:
    for path in (ROOT / "lab").rglob("*.py"):
        if path.relative_to(ROOT / "lab").parts[0] in ("cli", "render", "guest"):
            continue
        calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
