"""A command of this host runs as in the speaker's own terminal: beside the show file, with the speaker's settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.stage.kinds.command import CommandBeat
from lab.stage.prepare.check import check
from lab.stage.show import show_file
from lab.stage.stream.events import Line
from tests.unit.stage.one_beat import play
from tests.unit.stage.test_beat_checks import a_home, of

TELLS = "import os; print(os.getcwd(), os.environ['GOFLAGS'], os.environ['OTEL_SERVICE_NAME'], sep='\\n')"


def a_script(path: Path, text: str = "#!/bin/sh\necho hello $1\n", mode: int = 0o755) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_it_runs_beside_the_show_file_with_the_speakers_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", TELLS)))
    assert [line.text for line in played.of(Line)] == [str(tmp_path), "-mod=mod", "shop"]


@pytest.mark.skipif(os.name == "nt", reason="a script without an extension is a program there")
def test_a_script_beside_the_show_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_script(tmp_path / "demo.sh")
    monkeypatch.chdir("/")
    for argv in (("./demo.sh", "you"), (str(tmp_path / "demo.sh"), "you")):
        assert [line.text for line in play(tmp_path, CommandBeat(argv=argv)).of(Line)] == ["hello you"]
    with pytest.raises(PreconditionError, match=r"demo\.sh is not installed"):
        play(tmp_path, CommandBeat(argv=("demo.sh",)))  # a name alone is looked for on PATH


@pytest.mark.skipif(os.name == "nt", reason="no script has a first line there")
def test_a_script_whose_first_line_names_no_program(tmp_path: Path) -> None:
    a_script(tmp_path / "demo.sh", text="#!/none/such\n")
    with pytest.raises(PreconditionError, match=r"demo\.sh does not start: the program in its first line is missing"):
        play(tmp_path, CommandBeat(argv=("./demo.sh",)))


SHOW = """
schema: 1
title: T
beats:
  - {id: a, kind: command, title: A, argv: [%s]}
  - {id: b, kind: command, title: B, argv: [sh, -c, pwd]}
  - {id: c, kind: command, title: C, argv: [none-such], else: skip}
  - {id: d, kind: slide, title: D, markdown: x}
"""


@pytest.mark.skipif(os.name == "nt", reason="a script without an extension is a program there")
@pytest.mark.parametrize("name", ["./demo.sh", "bin/demo.sh"])
def test_the_check_looks_for_it_as_the_beat_does(tmp_path: Path, name: str) -> None:
    lab = a_home(tmp_path)
    path = tmp_path / "show" / "s.yaml"
    path.parent.mkdir()
    path.write_text(SHOW % name)
    show = show_file.load(path)
    none = check(lab, show)
    assert (none.word, none.why) == ("NO-GO", f"A: there is no program {name}")
    assert "relative to the folder of the show file" in none.fix
    a_script(path.parent / name, mode=0o644)
    may_not = check(lab, show)
    assert (may_not.word, may_not.why) == ("NO-GO", f"A: {name} does not start: permission denied")
    assert "chmod +x" in may_not.fix
    a_script(path.parent / name)
    assert check(lab, show).line() == "GO WITH FALLBACK: C (skipped)"
    assert [(one.verdict, one.text) for one in of(check(lab, show), "commands")] == [
        ("ok", "A, B: found on this host"),
        ("fail", "C: none-such is not installed"),
    ]


def test_the_check_finds_a_show_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = a_home(tmp_path)
    (tmp_path / "s.yaml").write_text(SHOW % "sh")
    monkeypatch.chdir(tmp_path)
    show = show_file.load(Path("s.yaml"))
    assert show.folder == tmp_path
    assert check(lab, show).line() == "GO WITH FALLBACK: C (skipped)"
