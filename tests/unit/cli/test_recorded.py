"""`lab replay` and `lab export` through the command line: which recording is meant, and which files are written."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import pytest

from lab.model.paths import Paths
from lab.stage.history import takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.takes import Take
from lab.stage.stream.events import BeatCard, BeatStarted, Curtain, Line, ShowStarted, StageEvent
from lab.stage.stream.records import StageRecord
from tests.unit.cli.conftest import Cli

SAID = "printed on {}"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def keep(
    home: Path, machine: str, show: str = "four-pillars", beat: str = "duet", *, file: str = "", day: str = "2026-02-01"
) -> Path:
    """A take as a rehearsal on that machine leaves it; `file`: the digest of the show file."""
    record = StageRecord(seq=1, at_s=0.0, event=Line(at_ms=0.0, text=SAID.format(machine)))
    take = Take(
        show=show,
        beat=beat,
        machine=machine,
        recorded=f"{day}T10:00:00Z",
        inputs=Inputs(show=file, seed=1),
        seconds=0.1,
        records=(record,),
    )
    return takes.save(takes.folder(Paths(home=home), machine, show), take)


@pytest.mark.parametrize("machine", ["lab", "lab-local", "mine"])
def test_takes_are_found_without_the_name_of_their_machine(lab_cli: Cli, machine: str) -> None:
    keep(lab_cli.home, machine)
    exported = lab_cli("export", "four-pillars", "--format", "cast", "-o", "out", "--json")
    assert exported.code == 0, exported.stderr
    (path,) = json.loads(exported.stdout)["files"]
    assert SAID.format(machine) in Path(path).read_text()
    replayed = lab_cli("replay", "four-pillars/duet", "--alone", "--plain", "--no-browser")
    assert replayed.code == 0, replayed.stderr
    assert SAID.format(machine) in replayed.stdout
    assert "the page is http://127.0.0.1:" in replayed.stdout


def test_of_several_machines_the_default_one_is_meant(lab_cli: Cli) -> None:
    for machine in ("another", "lab"):
        keep(lab_cli.home, machine)
    assert SAID.format("lab") in lab_cli("replay", "four-pillars", "--alone", "--plain", "--no-browser").stdout
    named = lab_cli("replay", "four-pillars", "--name", "another", "--alone", "--plain", "--no-browser")
    assert SAID.format("another") in named.stdout


def test_takes_that_could_be_of_two_machines_ask_for_the_name(lab_cli: Cli) -> None:
    for machine in ("one", "two"):
        keep(lab_cli.home, machine)
    asked = lab_cli("export", "four-pillars")
    assert asked.code == 2
    assert "several machines have takes of four-pillars: one, two" in asked.stderr
    assert "--name one" in asked.stderr
    elsewhere = lab_cli("export", "four-pillars", "--name", "three")
    assert elsewhere.code == 2
    assert "machine three has no take of four-pillars" in elsewhere.stderr


def test_a_show_that_was_not_rehearsed_is_no_run(lab_cli: Cli) -> None:
    asked = lab_cli("export", "four-pillars")
    assert asked.code == 2
    assert "the show four-pillars has no takes yet" in asked.stderr
    assert "lab rehearse four-pillars" in asked.stderr


BEATS = "schema: 1\ntitle: T\nname: mine\nbeats:\n  - {id: a, kind: slide, title: A, markdown: x}\n"


def test_the_file_of_a_show_names_its_takes(lab_cli: Cli) -> None:
    Path("my talk.yaml").write_text(BEATS)
    asked = lab_cli("export", "my talk.yaml")
    assert asked.code == 2
    assert "the show mine has no takes yet" in asked.stderr
    assert "lab rehearse 'my talk.yaml'" in asked.stderr
    keep(lab_cli.home, "lab", "mine", "a", file=hashlib.sha256(BEATS.encode()).hexdigest())
    assert exported(lab_cli, "my talk.yaml") == "mine-2026-02-01.html"
    assert lab_cli("replay", "absent.yaml").code == 3


def test_takes_of_a_file_are_of_the_file_as_it_is_now(lab_cli: Cli) -> None:
    Path("mine.yaml").write_text(BEATS)
    keep(lab_cli.home, "lab", "mine", "a", file="edited since")
    asked = lab_cli("replay", "mine.yaml", "--alone", "--plain", "--no-browser")
    assert (asked.code, asked.stdout) == (2, "")
    assert "no take is of mine.yaml as it is now: the take of beat a of 2026-02-01" in asked.stderr
    assert "lab rehearse mine.yaml, or give its name, mine: the takes as they are" in asked.stderr
    keep(lab_cli.home, "lab", "mine", "b", file=hashlib.sha256(BEATS.encode()).hexdigest(), day="2026-01-01")
    played = lab_cli("replay", "mine.yaml", "--alone", "--plain", "--no-browser")
    assert "== 1. b" in played.stdout, "it is the older one: an edit was taken back"
    assert "left out: the take of beat a of 2026-02-01, which is of another version of the show" in played.stdout
    assert "== 1. a" in lab_cli("replay", "mine", "--alone", "--plain", "--no-browser").stdout


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_file_that_is_not_there(lab_cli: Cli, name: str) -> None:
    asked = lab_cli("replay", name)
    assert (asked.code, f"there is no file {name}" in asked.stderr) == (2, True), asked.stderr


def test_a_beat_that_the_show_has_no_more_is_left_out(lab_cli: Cli) -> None:
    keep(lab_cli.home, "old", "mine", "intro", file="old", day="2026-01-01")
    keep(lab_cli.home, "old", "mine", "opening", file="new")
    played = lab_cli("replay", "mine", "--alone", "--plain", "--no-browser")
    assert "1 beats" in played.stdout
    assert "left out: the take of beat intro of 2026-01-01, which is of another version of the show" in played.stdout
    done = lab_cli("export", "mine", "-o", "out")
    assert "left out: the take of beat intro" in done.stderr
    assert "intro" not in next(Path("out").iterdir()).read_text(encoding="utf-8").split('id="records">')[1]
    assert exported(lab_cli, "mine/intro") == "mine-intro-2026-01-01.html", "asked for by name"


def test_a_damaged_take_is_left_out(lab_cli: Cli) -> None:
    path = keep(lab_cli.home, "lab", "mine", "one")
    keep(lab_cli.home, "lab", "mine", "two")
    path.write_text("{}")
    played = lab_cli("replay", "mine", "--alone", "--plain", "--no-browser")
    assert (played.code, "== 1. two" in played.stdout) == (0, True), played.stderr
    assert "left out: " in played.stdout
    assert "one.json cannot be read" in played.stdout
    assert lab_cli("replay", "mine/one").code == 7


def a_show(path: Path, *, title: str = "T", text: str = "hello") -> Path:
    """A file as `lab show --json` writes it."""
    card = BeatCard(id="a", title="A", kind="command", budget_s=1.0)
    start = ShowStarted(
        title=title, beats=(card,), slot_s=60.0, forms=(), source="live", machine="m", began="2026-11-20T10:00:00Z"
    )
    events: tuple[StageEvent, ...] = (start, BeatStarted(beat=0), Line(at_ms=0.0, text=text), Curtain(down=True))
    lines = [json.dumps(StageRecord(seq=n, at_s=0.0, event=event).to_json()) for n, event in enumerate(events, start=1)]
    path.write_text("\n".join(lines) + "\n")
    return path


def exported(lab_cli: Cli, what: str, form: str = "page") -> str:
    """The name of the file that an export wrote."""
    done = lab_cli("export", what, "-o", "out", "--format", form, "--json")
    assert done.code == 0, done.stderr
    (path,) = json.loads(done.stdout)["files"]
    return Path(path).name


def test_exports_of_unlike_recordings_are_unlike_files(lab_cli: Cli) -> None:
    for beat in ("duet", "attach"):
        keep(lab_cli.home, "lab", beat=beat)
    names = [exported(lab_cli, what) for what in ("four-pillars", "four-pillars/duet", "four-pillars/attach")]
    days = [f"four-pillars{beat}-2026-02-01.html" for beat in ("", "-duet", "-attach")]
    assert names == days
    keep(lab_cli.home, "lab", beat="more")
    assert exported(lab_cli, "four-pillars") == "four-pillars-2026-02-01-2.html", "what was exported stays"
    assert exported(lab_cli, "four-pillars") == "four-pillars-2026-02-01-2.html", "the same is written once"


@pytest.mark.parametrize("title", ["Сколько это стоит", "long " * 60])
def test_a_title_is_no_file_name(lab_cli: Cli, tmp_path: Path, title: str) -> None:
    show = a_show(tmp_path / "доклад.jsonl", title=title)
    assert exported(lab_cli, str(show)) == "доклад-2026-11-20.html"


def test_an_export_that_cannot_be_written_says_so(lab_cli: Cli, tmp_path: Path) -> None:
    show = a_show(tmp_path / "show.jsonl")
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", *([Path("/proc/nope")] if sys.platform == "linux" else [])):
        done = lab_cli("export", str(show), "-o", str(place))
        assert done.code == 4, done.stderr
        assert f"cannot write {place}" in done.stderr


def test_a_curtain_of_the_stage_blackens_no_exported_page(lab_cli: Cli, tmp_path: Path) -> None:
    page = Path("out") / exported(lab_cli, str(a_show(tmp_path / "show.jsonl")))
    records = page.read_text(encoding="utf-8").split('id="records">')[1].split("</script>")[0]
    told = [record["event"] for record in json.loads(records)]
    assert told == ["ShowStarted", "BeatStarted", "Line"]
