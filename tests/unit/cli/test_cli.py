"""The command line as a person and a program meet it: help, answers, errors with a fix, exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from lab.cli import main
from lab.cli.app import VERBS
from lab.cli.session import LogFile
from lab.model.errors import LabError
from lab.model.events import Bus, Notice
from tests.support import ROOT, run_lab
from tests.unit.cli.conftest import Cli


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


def test_usage_errors_exit_2_and_suggest(lab_cli: Cli) -> None:
    done = lab_cli("dmeo")
    assert done.code == 2
    assert "demo" in done.stderr
    assert lab_cli("demo", "--bogus").code == 2


def test_config_problems_exit_3_in_one_message(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("lab.yaml").write_text("schema: 1\nmachine: {memory_mib: 2GiB, cpu: 2}\n")
    monkeypatch.setenv("LAB_DEMO_SEED", "x")
    done = lab_cli("config")
    assert done.code == 3
    for part in ("lab.yaml:2", "write 2048", "did you mean 'cpus'?", "LAB_DEMO_SEED", "fix:"):
        assert part in done.stderr
    assert done.stdout == ""


def test_a_demo_that_names_unknown_things_is_refused_before_anything_starts(lab_cli: Cli) -> None:
    done = lab_cli("demo", "shpo", "--form", "baseline,ebfp", "--profile", "fast")
    assert done.code == 3
    for part in ("did you mean 'shop'?", "did you mean 'ebpf'?", "--profile: 'fast' is not one of auto, stage, quick"):
        assert part in done.stderr
    assert not (lab_cli.home / "machines").exists()


@pytest.mark.parametrize("words", ["paths", "config", "forms", "runs", "config --schema", "status", "cache ls"])
def test_a_json_answer_is_one_document(lab_cli: Cli, words: str) -> None:
    done = lab_cli(*words.split(), "--json")
    assert done.code == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_a_json_answer_is_alone_on_a_process_stdout(tmp_path: Path) -> None:
    done = run_lab("status", "--json", home=tmp_path / "h")
    assert done.code == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert not (tmp_path / "h").exists(), "a question leaves nothing behind"


def test_the_sample_config_is_valid_and_says_every_key(lab_cli: Cli) -> None:
    sample = lab_cli("config", "--sample").stdout
    live = re.sub(r"^(\s*)# (\w+: )", r"\1\2", sample, flags=re.MULTILINE)
    Path("lab.yaml").write_text(live)
    done = lab_cli("config", "--json")
    assert done.code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told
    assert all(row["origin"].startswith("project file") for row in told.values())
    schema = json.loads(lab_cli("config", "--schema").stdout)
    assert set(yaml.safe_load(live)) <= set(schema["properties"])


def test_a_log_that_was_not_written_is_not_named(lab_cli: Cli) -> None:
    done = lab_cli("exec", "--", "true")
    assert done.code == 4
    assert "log:" not in done.stderr
    assert not lab_cli.home.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "../runs", "ABSOLUTE", "-x", "Lab", "a b", "a\n", "con", "x" * 41])
@pytest.mark.parametrize("verb", ["down", "up --plan", "status", "logs", "ssh", "snapshot --remove"])
def test_a_name_that_leads_out_of_the_machines_is_refused(lab_cli: Cli, verb: str, name: str, tmp_path: Path) -> None:
    kept = [lab_cli.home / "runs" / "one", lab_cli.home / "machines" / "lab" / "disk", tmp_path / "other" / "file"]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("dear")
    done = lab_cli(*verb.split(), "--", str(tmp_path / "other") if name == "ABSOLUTE" else name)
    assert done.code == 2, done.stderr + done.stdout
    assert "invalid machine name" in done.stderr
    assert all(path.exists() for path in kept)
    assert not list(lab_cli.home.glob("**/lock*"))


def test_a_machine_s_name_in_the_config_is_held_to_the_same(lab_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "dear").mkdir()
    Path("lab.yaml").write_text(f"schema: 1\nmachine: {{name: {tmp_path / 'dear'}}}\n")
    assert lab_cli("down").code == 2
    assert (tmp_path / "dear").is_dir()


@pytest.mark.parametrize("words", ["snapshot --remove --as", "restore --from"])
def test_a_snapshot_s_name_leads_to_no_other_file(lab_cli: Cli, words: str) -> None:
    state = lab_cli.home / "machines" / "lab" / "machine.json"
    state.parent.mkdir(parents=True)
    spec = {"name": "lab", "provider": "qemu"}
    handle = {"provider": "qemu", "name": "lab", "machine_id": "00000000-0000-4000-8000-000000000000", "data": {}}
    rest = {"endpoint": None, "image_id": "", "accel": "", "ready_boot_id": ""}
    state.write_text(json.dumps({"schema": 1, "spec": spec, "handle": handle, **rest}))
    done = lab_cli(*words.split(), "../machine")
    assert done.code == 2, done.stderr
    assert "is not a valid snapshot name" in done.stderr
    assert state.exists()


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"forms": [1]}', '{"grade": "x"}', '{"a": NaN}', "[" * 100_000])
def test_a_broken_run_does_not_hide_the_others(lab_cli: Cli, text: str) -> None:
    for name, content in (("a", text), ("b", '{"scenario": "shop"}')):
        (lab_cli.home / "runs" / name).mkdir(parents=True)
        (lab_cli.home / "runs" / name / "manifest.json").write_text(content)
    done = lab_cli("runs")
    assert done.code == 0, done.stderr
    assert re.search(r"^a  manifest.json(:1:\d+)? cannot be read", done.stdout, re.MULTILINE)
    assert "b  shop" in done.stdout
    assert len(json.loads(lab_cli("runs", "--json").stdout)["runs"]) == 2


@pytest.mark.parametrize("text", ["{}", '{"schema": 1}', '{"schema": 1, "spec": []}', "[" * 100_000])
def test_a_state_of_the_wrong_kind_is_as_none(lab_cli: Cli, text: str) -> None:
    state = lab_cli.home / "machines" / "lab" / "machine.json"
    state.parent.mkdir(parents=True)
    state.write_text(text)
    done = lab_cli("status")
    assert done.code == 0, done.stderr
    assert "its creation was interrupted" in done.stdout


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.ENOSPC, "free disk space"),
        (errno.EROFS, "--home"),
        (errno.ENOTDIR, "--home"),
        (errno.EISDIR, "remove /some/where"),
        (errno.ELOOP, "remove /some/where"),
    ],
)
def test_a_disk_that_takes_nothing_is_no_bug(
    lab_cli: Cli, code: int, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(code, os.strerror(code), "/some/where")

    monkeypatch.setattr("lab.flows.report.complete", refuse)
    done = lab_cli("runs", "--json")
    assert done.code == 4
    assert f"/some/where: {os.strerror(code)}" in done.stderr
    assert fix in done.stderr.partition("fix:")[2]
    assert json.loads(done.stdout)["result"]["exit"] == 4


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize(
    ("place", "code"), [("machine-zz", 4), ("machine-zz.holder", 0), ("machine-zz.down", 0), ("", 4), ("../logs", 0)]
)
@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_down_names_what_is_in_its_way(lab_cli: Cli, place: str, code: int, kind: str) -> None:
    home = lab_cli.home
    (home / "machines" / "zz").mkdir(parents=True, mode=0o700)
    (home / "machines" / "zz" / "machine.json").write_text("{")  # so that there is something to tell
    path = Path(os.path.normpath(home / "locks" / place))
    path.parent.mkdir(exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/none/there")
    else:
        path.write_text("")
    ordinary = (kind == "file" and place == "machine-zz") or (kind == "folder" and not place)
    done = lab_cli("down", "zz")
    assert "bug" not in done.stderr
    assert done.code == (0 if ordinary else code), done.stderr
    assert (f"fix:   remove {path}" in done.stderr) == (done.code == 4)
    assert ("warning: cannot write the log" in done.stderr) == (place == "../logs" and kind != "folder")


def test_the_log_takes_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    bus = Bus()
    with LogFile(tmp_path / "log.jsonl") as log:
        bus.add(log)
        bus.emit(Notice(level="info", text="/home/\udcff"))
    assert json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"))["data"]["text"] == "/home/\udcff"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", ["forms", "forms --json"])
def test_a_full_disk_under_the_answer_is_told_and_no_success(tmp_path: Path, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "lab", *words.split(), "--home", str(tmp_path)]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_run_is_a_usage_error_with_a_fix(lab_cli: Cli) -> None:
    done = lab_cli("report")
    assert done.code == 2
    assert "fix:   lab demo" in done.stderr


def test_a_bug_is_one_line_and_a_file(lab_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.flows.report.complete", lambda _: b"\xff".decode())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = lab_cli("runs")
    assert done.code == 1
    assert "this is a bug in lab" in done.stderr
    assert "Traceback" not in done.stderr
    (told,) = tmp_path.glob("lab-bug-*.txt")
    assert "UnicodeDecodeError" in told.read_text()


@pytest.mark.parametrize("verb", ["status", "runs", "paths", "config", "forms"])
def test_read_only_verbs_leave_nothing_behind(lab_cli: Cli, verb: str) -> None:
    assert lab_cli(verb).code == 0
    assert not lab_cli.home.exists()


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    for cls in (each for each in LabError.__subclasses__() if each.__module__ == LabError.__module__):
        assert re.search(rf"^\| {cls.exit_code} \|.*`{cls.__name__}`", page, flags=re.MULTILINE), cls


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX shell to close a stream with")
@pytest.mark.parametrize("argv", [("forms", "--json"), ("forms",), ("--help",)])
def test_an_answer_that_nobody_reads_is_no_failure(tmp_path: Path, argv: tuple[str, ...]) -> None:
    line = ["env", f"LAB_HOME={tmp_path}", sys.executable, "-m", "lab", *argv]
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "closed", *line], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")
    read_end, write_end = os.pipe()
    os.close(read_end)
    unread = subprocess.run(line, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (unread.returncode, unread.stderr) == (0, "")


@pytest.mark.parametrize("words", ["up --plan a", "status a", "down a", "logs a", "ssh-config a"])
def test_a_machine_is_named_by_place_or_by_option(lab_cli: Cli, words: str) -> None:
    by_place = lab_cli(*words.split())
    verb, *rest, name = words.split()
    by_option = lab_cli(verb, *rest, "--name", name)
    assert (by_place.code, by_place.stdout) == (by_option.code, by_option.stdout)
    assert lab_cli(verb, *rest, name, "--name", name).code == by_place.code
    both = lab_cli(verb, *rest, name, "--name", "b")
    assert both.code == 2
    assert "two machine names given: a and --name b" in both.stderr


@pytest.mark.parametrize("verb", ["up", "down", "status", "deploy", "demo", "exec", "ssh", "logs", "snapshot", "fetch"])
def test_every_verb_takes_the_machine_s_name_as_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert "--name" in capsys.readouterr().out


def test_down_without_a_name_takes_the_default_machines_alone(lab_cli: Cli) -> None:
    for name in ("lab", "lab-local", "stage"):
        folder = lab_cli.home / "machines" / name
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").touch()
    said = lab_cli("down", "--json")
    assert said.code == 0, said.stderr
    assert json.loads(said.stdout.splitlines()[-1])["result"]["removed"] == ["lab", "lab-local"]
    assert [path.name for path in (lab_cli.home / "machines").iterdir()] == ["stage"]
