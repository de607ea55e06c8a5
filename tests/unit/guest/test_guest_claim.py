"""The program that keeps our claim on somebody else's machine, run alone as it travels: changes noted, and undone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.machines.providers.ssh import claim as ssh_claim
from tests.support import python_39

SOURCE = ssh_claim.script().decode()
# what Debian's tools say (of the machine that tests/foreign_vm.py makes), and what they were asked
DPKG_QUERY = '#!/bin/sh\ncat "$FAKE/installed"\n'
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$FAKE/asked"
case "$*" in *update*) exit 0 ;; esac
for name; do :; done
case "$*" in
  *" curl iproute2") cat "$FAKE/plan-all" ;;
  *) cat "$FAKE/plan-$name" ;;
esac
"""
DPKG = """#!/bin/sh
echo "dpkg $*" >> "$FAKE/asked"
[ -e "$FAKE/dpkg-says" ] && { cat "$FAKE/dpkg-says" >&2; exit 2; }
shift 2
for name; do grep -q "^$name\\$" "$FAKE/needed" || sed -i "/^$name /d" "$FAKE/installed"; done
"""
PLAN = "Inst libcurl4 (7.88.1-10+deb12u15 Debian:12 [amd64])\nInst curl (7.88.1-10+deb12u15 Debian:12 [amd64])\n"


@dataclass(frozen=True)
class There:
    """A made-up machine below a folder: the program's places are moved into it."""

    root: Path
    python: str

    def ask(self, verb: str, code: int = 0, **doc: Any) -> dict[str, Any]:
        script = SOURCE.replace("/var/lib/lab", f"{self.root}/lab").replace('"/proc/sys/" +', f'"{self.root}/sys/" +')
        env = {
            "PATH": f"{self.root}/bin:/usr/bin:/bin",
            "FAKE": str(self.root),
            "LAB_GUEST_RUNTIME": f"{self.root}/runtime",
        }
        argv = [self.python, "-I", "-", verb, json.dumps(doc)]
        ran = subprocess.run(argv, input=script, env=env, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stderr
        answer = json.loads(ran.stdout)
        assert isinstance(answer, dict)
        return answer

    def record(self, **wanted: Any) -> dict[str, Any]:
        return self.ask("record", **{"files": {}, "sysctls": {}, "mounts": {}, "packages": [], **wanted})

    def restore(self) -> dict[str, Any]:
        return self.ask("restore", machine_id="m1")


@pytest.fixture
def there(tmp_path: Path) -> There:
    for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET), ("dpkg", DPKG)):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "installed").write_text("base-files 12.4 ii \nmine 1.0 rc \n")
    (tmp_path / "needed").write_text("")
    made = There(root=tmp_path, python=python_39())
    assert made.ask("claim", machine_id="m1", name="c")["claim"]["machine_id"] == "m1"
    return made


def sha(text: str) -> dict[str, str]:
    import hashlib

    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_a_claim_is_the_first_ones(there: There) -> None:
    """Eight at the same time on a machine that nobody has: one wins, all learn who."""
    there.restore()
    won: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(there.ask("claim", machine_id=f"x{n}")["claim"]["machine_id"]))
        for n in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 8
    assert len(set(won)) == 1
    assert there.ask("restore", machine_id="somebody else") == {"undone": [], "left": []}
    assert there.ask("claim", machine_id="late")["claim"]["machine_id"] == won[0]


def test_files_and_links_come_back_as_they_were(there: There) -> None:
    etc = there.root / "etc"
    etc.mkdir()
    (etc / "old").write_text("before\n")
    (etc / "old").chmod(0o640)
    (etc / "link").symlink_to("elsewhere")
    after = {str(etc / name): sha("after\n") for name in ("old", "link", "new")} | {
        str(etc / "deep/er/new"): sha("after\n")
    }
    there.record(files=after)
    (etc / "deep/er").mkdir(parents=True)
    (etc / "link").unlink()
    for place in after:
        Path(place).write_text("after\n")
    there.record(files=after)  # a second `up`: what was before stays what it was
    told = there.restore()
    assert told["left"] == []
    assert sorted(told["undone"]) == sorted(f"file {place}" for place in after)
    assert (etc / "old").read_text() == "before\n"
    assert (etc / "old").stat().st_mode & 0o777 == 0o640
    assert (etc / "link").readlink() == Path("elsewhere")
    assert sorted(path.name for path in etc.iterdir()) == ["link", "old"]
    assert not (there.root / "lab").exists()
    assert not (there.root / "lab.gone").exists()


def test_what_somebody_changed_since_is_left_and_told(there: There) -> None:
    place, gone = there.root / "etc/new", there.root / "etc/gone"
    place.parent.mkdir()
    gone.write_text("before\n")
    (there.root / "sys/kernel").mkdir(parents=True)
    (there.root / "sys/kernel/knob").write_text("3\n")
    (there.root / "sys/kernel/other").write_text("1\n")
    there.record(
        files={str(place): sha("after\n"), str(gone): sha("after\n")},
        sysctls={"kernel.knob": "-1", "kernel.other": "0", "kernel.absent": "1"},
    )
    place.write_text("the owner's own\n")
    gone.unlink()
    (there.root / "sys/kernel/knob").write_text("2\n")
    (there.root / "sys/kernel/other").write_text("0\n")
    told = there.restore()
    assert told["undone"] == ["sysctl kernel.other"]
    assert sorted(told["left"]) == [
        f"file {gone}: removed since by another program",
        f"file {place}: changed since by another program",
        "sysctl kernel.knob: set to 2 since by another program",
    ]
    assert place.read_text() == "the owner's own\n"
    assert (there.root / "sys/kernel/knob").read_text() == "2\n"
    assert (there.root / "sys/kernel/other").read_text() == "1"


def test_a_cache_goes_where_there_was_none(there: There) -> None:
    made, was = there.root / "made", there.root / "was"
    was.write_text("old\n")
    there.record(files={str(made): None, str(was): None})
    made.write_text("whatever\n")
    was.write_text("newer\n")
    assert there.restore() == {"undone": [f"file {made}"], "left": []}
    assert was.read_text() == "newer\n"


def test_a_mount_of_an_earlier_boot_is_not_ours(there: There) -> None:
    """The file says that /proc was mounted by us, long ago: it is not touched."""
    mounts = there.root / "lab/mounts.json"
    mounts.write_text('[["proc", "/proc"]]')
    os.utime(mounts, (0, 0))
    assert there.restore() == {"undone": [], "left": []}


def test_packages_are_added_and_only_these_are_purged(there: There) -> None:
    (there.root / "plan-all").write_text(PLAN)
    told = there.record(packages=["base-files", "curl", "iproute2"])
    assert told["held"] == ["iproute2"]  # apt's plan does not name it
    assert told["install"] == ["curl"]
    assert told["changes"]["packages"]["libcurl4"] == {"version": "7.88.1-10+deb12u15", "rc": False}
    with (there.root / "installed").open("a") as file:
        file.write("curl 7.88.1-10+deb12u15 ii \nlibcurl4 7.88.1-10+deb12u15 ii \nlater 1 ii \n")
    (there.root / "needed").write_text("libcurl4\n")
    told = there.restore()
    assert told == {
        "undone": ["package curl"],
        "left": ["package libcurl4: a package installed since needs it"],
    }
    assert "dpkg --abort-after=10000 --purge curl libcurl4" in (there.root / "asked").read_text()


def test_nothing_is_added_that_would_change_or_remove_a_package(there: There) -> None:
    upgrade = "Inst base-files [12.4] (12.5 Debian:12 [amd64])\n"
    (there.root / "plan-all").write_text(PLAN + upgrade)
    (there.root / "plan-curl").write_text(PLAN)
    (there.root / "plan-iproute2").write_text("Remv base-files [12.4]\nInst iproute2 (6.1 Debian:12 [amd64])\n")
    told = there.record(packages=["curl", "iproute2"])
    assert (told["install"], told["held"]) == (["curl"], ["iproute2"])


def test_a_package_that_was_upgraded_since_is_the_owners(there: There) -> None:
    (there.root / "plan-all").write_text(PLAN)
    there.record(packages=["curl", "iproute2"])
    with (there.root / "installed").open("a") as file:
        file.write("curl 8.0 ii \nlibcurl4 7.88.1-10+deb12u15 ii \n")
    told = there.restore()
    assert told["left"] == ["package curl: now at version 8.0"]
    assert told["undone"] == ["package libcurl4"]


def test_a_busy_dpkg_stops_it_with_everything_still_noted(there: There) -> None:
    (there.root / "plan-all").write_text(PLAN)
    there.record(packages=["curl", "iproute2"])
    with (there.root / "installed").open("a") as file:
        file.write("curl 7.88.1-10+deb12u15 ii \n")
    says = there.root / "dpkg-says"
    says.write_text("dpkg: error: dpkg frontend lock was locked by another process with pid 7\n")
    assert "another program" in there.ask("restore", code=1, machine_id="m1")["error"]
    assert (there.root / "lab/claim.json").exists()
    says.unlink()
    assert there.restore()["undone"] == ["package curl"]


def a_run(there: There) -> subprocess.Popen[bytes]:
    """What a leader looks like from outside: the guest half's file, its verb and its folder."""
    program = there.root / "lab/guest-0a1b2c3d4e5f.pyz"
    program.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    argv = [sys.executable, str(program), "run", "--plan", "p", "--out", f"{there.root}/lab/runs/r1/guest"]
    run = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"up\n"
    return run


@pytest.mark.parametrize("removed", [False, True])
def test_a_run_that_goes_on_is_ended_first(there: There, removed: bool) -> None:
    """Also when the folder, and with it claim and lock, was removed by hand: local-down-leaves-run over SSH."""
    with a_run(there) as run:
        if removed:
            shutil.rmtree(there.root / "lab")
        there.restore()
        assert run.wait(5) == -15


def test_a_folder_of_somebody_else_is_not_taken(there: There) -> None:
    there.restore()
    (there.root / "lab").mkdir()
    (there.root / "lab/thesis").touch()
    assert "not lab's" in there.ask("claim", code=1, machine_id="m1")["error"]
    assert there.restore() == {"undone": [], "left": []}
    assert (there.root / "lab/thesis").exists()


TORN = ["", "[]", '{"machine_id', '{"machine_id": 1}', "[" * 100_000]


@pytest.mark.parametrize("text", TORN, ids=range(len(TORN)))
def test_a_claim_that_cannot_be_read_is_given_back_by_hand_only(there: There, text: str) -> None:
    (there.root / "lab/claim.json").write_text(text)
    for verb in ("claim", "restore"):
        assert "cannot read the claim" in there.ask(verb, code=1, machine_id="m1")["error"]
    assert (there.root / "lab").is_dir()
    assert there.ask("restore")["left"] == []
    assert not (there.root / "lab").exists()


@pytest.mark.parametrize("text", ["[]", '{"packages": {}}', "[" * 100_000])
def test_a_journal_of_changes_that_cannot_be_read_is_named(there: There, text: str) -> None:
    (there.root / "lab/changes.json").write_text(text)
    told = there.restore()
    assert len(told["left"]) == 1
    assert "changes.json: unreadable" in told["left"][0]
    assert not (there.root / "lab").exists()


def test_a_pipe_for_the_mounts_is_not_waited_for(there: There) -> None:
    os.mkfifo(there.root / "lab/mounts.json")
    assert there.restore() == {"undone": [], "left": []}
