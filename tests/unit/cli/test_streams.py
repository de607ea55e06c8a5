"""What we print, on streams of every kind: the case minus-sign-lost, and output that goes to /dev/full."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli import streams
from lab.cli.stage.plain import Lines
from lab.render import jsonl
from lab.render.plain import MARKS as PLAIN_MARKS
from lab.render.terminal import MARKS
from lab.stage.stream.events import Remark
from lab.stage.stream.records import StageRecord
from tests.support import ROOT, run_lab
from tests.unit.cli.conftest import Cli
from tests.unit.report import synthetic

SAID = "CPU per request +7.5 %; median latency −21 %, 3 – 5 ms → ≤ 0.1 ✓"
FULL = Path("/dev/full")


def printed(text: str, encoding: str) -> str:
    """What a stream of this encoding shows of `text`, set up as `main` does it."""
    program = (
        "import sys; from lab.cli import streams; streams.prepare(); print(sys.argv[1]); sys.stderr.write('−1\\n')"
    )
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, text], env=env, capture_output=True, check=True)
    assert done.stderr.decode(encoding).rstrip() in ("−1", "-1")
    return done.stdout.decode(encoding).rstrip("\r\n")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437", "ascii", "koi8-r", "cp1252:strict"])
def test_minus_sign_lost(encoding: str) -> None:
    name = encoding.partition(":")[0]
    said = printed(SAID, name) if ":" not in encoding else streams.plain(SAID)
    assert "?" not in said
    assert "median latency -21 %" in said
    assert "-> " in said or "→ " in said


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_what_a_stream_can_show_is_left_alone(encoding: str) -> None:
    assert printed(SAID, encoding) == SAID


def test_no_character_becomes_a_question_mark() -> None:
    for text in [
        "naïve Ünïcode",
        "\u4e2d\u6587",
        "\udcff",
        "½ ² ³ №",
        "\u00a0\u2009",
        *MARKS.values(),
        *PLAIN_MARKS.values(),
    ]:
        assert "?" not in streams.plain(text)
        assert streams.plain(text).isascii()
    assert streams.plain("naïve −1 ± 2") == "naive -1 +/- 2"


def test_json_stays_json_on_any_stream() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    assert json.loads(jsonl.dumps({"said": SAID}, stream)) == {"said": SAID}


def test_the_records_of_a_show_stay_json_on_any_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    streams.prepare()
    said = Remark(text="turn on “do not disturb” → now")
    Lines(as_json=True)(StageRecord(seq=1, at_s=0.0, event=said))
    assert StageRecord.from_json(json.loads(written.getvalue())).event == said


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("forms",), ("forms", "--json")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_stdout_is_not_a_full_disk(tmp_path: Path, argv: tuple[str, ...], unbuffered: str) -> None:
    program = [sys.executable, "-m", "lab", *argv]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LAB_HOME": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("wb") as out:
        done = subprocess.run(program, env=env, stdout=out, stderr=subprocess.PIPE, check=False)
    told = done.stderr.decode().splitlines()
    assert told == [
        "error: standard output: No space left on device",
        "fix:   redirect stdout to a file or pipe that can be written",
    ]
    assert done.returncode == 4


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_command_goes_on_where_nobody_can_be_told(tmp_path: Path) -> None:
    done = run_lab("forms", home=tmp_path, under=("sh", "-c", '"$@" 2>/dev/full', "sh"))
    assert done.code == 0
    assert "baseline" in done.stdout
    assert run_lab("nothing", home=tmp_path, under=("sh", "-c", '"$@" 2>/dev/full', "sh")).code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
def test_a_closed_stderr_fails_no_command(tmp_path: Path) -> None:
    done = run_lab("forms", home=tmp_path, under=("sh", "-c", '"$@" 2>&-', "sh"))
    assert done.code == 0
    assert "baseline" in done.stdout
    assert run_lab("nothing", home=tmp_path, under=("sh", "-c", '"$@" 2>&-', "sh")).code == 2


def test_every_line_of_the_help_is_whole_at_80_columns(tmp_path: Path) -> None:
    told = run_lab("--help", home=tmp_path, env={"COLUMNS": "80"}).stdout.splitlines()
    commands = told[told.index("Commands:") + 1 :]
    assert len(commands) >= 20
    for line in commands:
        assert len(line) <= 80
        assert line.endswith((".", ").")), line
        assert not line.endswith("..")
        assert line[2] != " ", f"takes a second line: {line}"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("name", [b"a\x1b[2J", b"a\nb  fast  full", b"a\xff"])
def test_the_name_of_a_run_reaches_no_pipe_raw(lab_cli: Cli, name: bytes) -> None:
    runs = lab_cli.home / "runs"
    runs.mkdir(parents=True, mode=0o700)
    lab_cli.home.chmod(0o700)
    synthetic.write(runs / os.fsdecode(name), requests=20, forms={"baseline": synthetic.FORMS["baseline"]})
    listed, reported = lab_cli("runs"), lab_cli("report", "--no-open", "--plain", "a")
    assert (listed.code, reported.code) == (0, 0), reported.stderr
    assert len(listed.stdout.splitlines()) == 1
    for line in [*listed.stdout.splitlines(), *reported.stdout.splitlines(), *reported.stderr.splitlines()]:
        assert line.isprintable()
    (log,) = (lab_cli.home / "logs").iterdir()
    assert all(json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
