"""Names of runs and machines on the command line: nothing empty means "any", and no name means another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.flows.report import complete
from lab.model.paths import Paths
from tests.unit.cli.conftest import Cli
from tests.unit.report import synthetic

VALUES = ("report", "runs", "down", "fetch", "logs", "status", "ssh", "up", "demo", "deploy", "cache")
OPTIONS = (
    *("down --name", "deploy --service", "demo --form", "up --provider", "fetch --to", "runs --home"),
    *("snapshot --as", "restore --from", "up --lock-timeout", "exec --name", "status --config", "demo --scenario"),
)


@pytest.fixture
def runs(lab_cli: Cli) -> Path:
    """Two whole runs and one that was cut."""
    folder = lab_cli.home / "runs"
    folder.mkdir(parents=True, mode=0o700)
    lab_cli.home.chmod(0o700)
    for name in ("2026-11-01-one", "2026-11-02-two"):
        synthetic.write(folder / name, requests=20, forms={"baseline": synthetic.FORMS["baseline"]})
    (folder / "incomplete-2026-11-03-three").mkdir()
    return folder


@pytest.mark.parametrize("blank", ["", "\t \u00a0"])
@pytest.mark.parametrize("verb", VALUES)
def test_an_empty_word_is_refused(lab_cli: Cli, verb: str, blank: str) -> None:
    done = lab_cli(verb, blank)
    assert done.code == 2
    assert done.stderr.startswith(f"error: lab {verb}: an argument is empty\nfix:   leave it out")
    assert not lab_cli.home.exists()


@pytest.mark.parametrize("words", OPTIONS)
def test_an_empty_value_of_an_option_is_refused(lab_cli: Cli, words: str) -> None:
    verb, option = words.split()
    for given in ([option, ""], [f"{option}="], [option, " "]):
        done = lab_cli(verb, *given)
        assert done.code == 2, done.stderr
        assert f"lab {verb}: {option} has an empty value" in done.stderr
    assert not lab_cli.home.exists()


def test_the_words_of_a_command_of_exec_may_be_empty(lab_cli: Cli) -> None:
    for words in (("--", "printf", ""), ("printf", ""), ("--", "")):
        assert "there is no such machine" in lab_cli("exec", *words).stderr


@pytest.mark.parametrize("verb", ["report --no-open", "fetch"])
def test_a_run_that_is_not_there_is_never_another(lab_cli: Cli, runs: Path, verb: str) -> None:
    (runs / "2026-11-02-two").rename(runs / ".gone")  # where only one run is there, a blank would be its beginning
    (runs / "incomplete-2026-11-03-three").rmdir()
    for wanted in ("", " ", ".", "..", "*", "[2]*", "/", "../runs", "-", "?026", "x" * 100_000, "2027"):
        done = lab_cli(*verb.split(), "--", wanted)
        assert (done.code, done.stdout) == (2, ""), done.stderr
        assert "no run " in done.stderr
        assert "fix:   lab runs" in done.stderr
        assert len(done.stderr) < 400


@pytest.mark.parametrize("verb", ["report --no-open", "fetch"])
def test_the_beginning_of_several_runs_is_told(lab_cli: Cli, runs: Path, verb: str) -> None:
    done = lab_cli(*verb.split(), "2026")
    assert done.code == 2
    assert "'2026' is ambiguous: it matches 2026-11-01-one, 2026-11-02-two, 2026-11-03-three" in done.stderr
    one = lab_cli(*verb.split(), "2026-11-01")
    assert one.code == 0, one.stderr
    (runs / "2026-11-02-two").rename(runs / "2026-11-01-one-more")
    exact = lab_cli(*verb.split(), "2026-11-01-one")
    assert exact.code == 0, exact.stderr


def test_a_cut_run_is_told_by_report_and_meant_by_fetch(lab_cli: Cli, runs: Path) -> None:
    reported = lab_cli("report", "2026-11-03")
    assert reported.code == 2
    assert "run 2026-11-03-three is incomplete" in reported.stderr
    fetched = lab_cli("fetch", "2026-11-03")
    assert fetched.code == 2
    assert "the rest of the run is lost: no machine lab" in fetched.stderr
    assert len(list(runs.iterdir())) == 3


@pytest.mark.parametrize("words", ["logs nosuch", "logs --name nosuch", "logs lab", "snapshot nosuch --list"])
def test_an_unknown_machine_shows_nothing_of_others(lab_cli: Cli, words: str) -> None:
    (lab_cli.home / "logs").mkdir(parents=True, mode=0o700)
    (lab_cli.home / "logs" / "one-demo.jsonl").write_text('{"said": "of another command"}\n')
    (lab_cli.home / "machines" / "nosuchx").mkdir(parents=True)
    (lab_cli.home / "machines" / "nosuchx" / "journal.jsonl").touch()
    done = lab_cli(*words.split())
    assert (done.code, done.stdout) == (2, "")
    assert "there is no machine " in done.stderr
    assert ("did you mean 'nosuchx'?" in done.stderr) == ("nosuch" in words)
    assert "of another command" in lab_cli("logs").stdout
    assert lab_cli("logs", "nosuchx").code == 0


def test_down_says_which_machine_there_is_none_of(lab_cli: Cli) -> None:
    done = lab_cli("down", "nosuch")
    assert (done.code, done.stdout) == (0, "nothing to remove: there is no machine nosuch\n")


@pytest.mark.parametrize(("name", "why"), [("a/b", "invalid machine name 'a/b'"), ("lab", "lab is the machine itself")])
def test_a_second_machine_of_a_show_is_another_one_with_a_name(lab_cli: Cli, name: str, why: str) -> None:
    for more in ((), ("--check",)):
        done = lab_cli("show", "--standby", name, *more)
        assert done.code == 2
        assert done.stderr.startswith(f"error: {why}")
    assert not (lab_cli.home / "locks").exists()


def test_what_was_saved_is_restored_by_the_command_that_is_named(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.flows.snapshot.keep", lambda *_: None)
    assert "lab restore m --from talk" in lab_cli("snapshot", "m", "--as", "talk").stdout
    assert "--from" not in lab_cli("snapshot", "m").stdout


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_run_whose_copy_was_cut_short_is_told_as_one(lab_cli: Cli, runs: Path) -> None:
    (runs / "2026-11-02-two/manifest.json").unlink()
    (runs / "20261103-101500-bare").mkdir()
    (runs / "mine").mkdir()
    why = "has no manifest.json: the copy is incomplete"
    for verb in ("report --no-open", "fetch"):
        done = lab_cli(*verb.split(), "2026-11-02-two")
        assert done.code == 2
        assert f"run 2026-11-02-two {why}" in done.stderr
        assert "copy the whole folder again" in done.stderr
    listed = lab_cli("runs").stdout
    assert f"2026-11-02-two  {why}" in listed
    assert f"20261103-101500-bare  {why}" in listed
    assert "mine" not in listed, "a folder that is no run"
    assert "2026-11-01-one" in lab_cli("report", "--no-open").stdout, "the newest is a whole one"


def test_a_renamed_copy_is_as_old_as_its_run(lab_cli: Cli) -> None:
    folder = lab_cli.home / "runs"
    for day in ("01", "02"):
        run_id = f"202611{day}-101500-shop"
        forms = {"baseline": synthetic.FORMS["baseline"]}
        synthetic.write(folder / run_id, requests=20, forms=forms, run_id=run_id)
    shutil.copytree(folder / "20261101-101500-shop", folder / "backup")
    shutil.copytree(folder / "20261102-101500-shop", folder / "zz")
    shutil.copytree(folder / "20261102-101500-shop", folder / "broken")
    (folder / "broken/manifest.json").write_text("{", encoding="utf-8")
    names = [path.name for path in complete(Paths(home=lab_cli.home))]
    assert names == ["broken", "backup", "20261101-101500-shop", "zz", "20261102-101500-shop"]
