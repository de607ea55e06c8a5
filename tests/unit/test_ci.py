"""What CI runs, with a `labw` that only says what it was asked: steps, times, closing line, exit code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

LABW = """#!/bin/sh
echo "labw $*" >>asked
case $1 in
    doctor) exit {doctor} ;;
    test) echo "= {closing} ="; exit {tests} ;;
esac
"""


def run(checkout: Path, *argv: str) -> tuple[int, list[str], list[str]]:
    """Exit code, lines said, what `labw` was asked."""
    tools = checkout / "tools"
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [checkout / ".ci" / "run", *argv],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines(), (checkout / "asked").read_text().splitlines()


def checkout(at: Path, repo: Path, *, doctor: int = 0, tests: int = 0, closing: str = "2 passed in 0.1s") -> Path:
    """A checkout with the real .ci/run; nothing can be installed from it."""
    (at / ".ci").mkdir()
    shutil.copy(repo / ".ci" / "run", at / ".ci" / "run")
    programs = {"labw": LABW.format(doctor=doctor, tests=tests, closing=closing)}
    programs |= {f"tools/{name}": "#!/bin/sh\nexit 0\n" for name in ("apt-get", "sudo", "chromium", "tmux")}
    for name, text in programs.items():
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text(text)
        (at / name).chmod(0o755)
    return at


def test_every_step_with_its_time_and_the_closing_line_last(tmp_path: Path, repo: Path) -> None:
    code, said, asked = run(checkout(tmp_path, repo), "--tier", "unit")
    assert code == 0
    assert asked == ["labw --version", "labw doctor --install --yes", "labw test --tier unit"]
    for step in ("environment", "doctor", "tests"):
        assert any(re.fullmatch(rf"== {step}: \d+ s, exit 0", line) for line in said), step
    assert re.fullmatch(r"== in all: \d+ s", said[-2])
    assert said[-1] == "= 2 passed in 0.1s ="


@pytest.mark.parametrize(("tests", "closing"), [(1, "1 failed, 2 passed in 0.1s"), (4, "usage: nothing was run")])
def test_failed_tests_fail_it_with_pytests_code(tmp_path: Path, repo: Path, tests: int, closing: str) -> None:
    code, said, _ = run(checkout(tmp_path, repo, tests=tests, closing=closing))
    assert code == tests
    assert said[-1] == (f"= {closing} =" if "failed" in closing else "no test ran")


@pytest.mark.parametrize(("doctor", "goes_on"), [(4, True), (75, False)])
def test_a_host_that_lacks_something_goes_on_and_a_broken_doctor_does_not(
    tmp_path: Path, repo: Path, doctor: int, goes_on: bool
) -> None:
    code, _, asked = run(checkout(tmp_path, repo, doctor=doctor))
    assert (code == 0) == goes_on
    assert ("labw test" in [line.strip() for line in asked]) == goes_on


# --- the demo in CI --------------------------------------------------------------------------------------------------

DEMO_LABW = """#!/bin/sh
echo "labw $*" >>asked
home=$LAB_HOME
case "$1 $2" in
    "doctor --install") exit {doctor} ;;
    paths*) echo "home: $home"; echo "cache: $home/cache" ;;
    "cache keys")
        case " $* " in *" --json "*) echo '{{"cache": "x", "digest": "abc123", "keys": []}}'; exit ;; esac
        printf 'images/{image}\\nartifacts/a1\\n' ;;
    demo*)
        for made in images/{image} artifacts/a1; do
            [ -d "$home/cache/$made" ] && echo "had $made" >>asked && continue
            mkdir -p "$home/cache/$made" && echo "$made" >"$home/cache/$made/file"
        done
        [ {demo} = 5 ] && exit 5
        mkdir -p "$home/logs" "$home/runs/r1/guest" && echo log >"$home/logs/l"
        for file in junit.xml report.html report.md; do echo "$file" >"$home/runs/r1/$file"; done
        echo "ebpf: INDICATIVE."; echo "report: $home/runs/r1/report.html"
        exit {demo} ;;
esac
"""


def demo(at: Path, *argv: str, keep: Path | None = None, home: str = "home") -> tuple[int, str, str, list[str]]:
    """Exit code, stdout, stderr, and what `labw` was asked and found, of the real .ci/demo."""
    (at / "asked").unlink(missing_ok=True)
    settings = {"LAB_HOME": str(at / home), "DEMO_KEEP": str(keep or ""), "PATH": f"{at}/tools:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["dash" if shutil.which("dash") else "sh", at / ".ci/demo", *argv],
        env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr, (at / "asked").read_text().splitlines()


def demo_checkout(at: Path, repo: Path, *, doctor: int = 0, ends: int = 0, image: str = "i1") -> Path:
    (at / ".ci").mkdir(exist_ok=True)
    shutil.copy(repo / ".ci" / "demo", at / ".ci" / "demo")
    (at / "tools").mkdir(exist_ok=True)
    for name in ("apt-get", "sudo"):
        (at / "tools" / name).write_text("#!/bin/sh\nexit 0\n")
        (at / "tools" / name).chmod(0o755)
    (at / "labw").write_text(DEMO_LABW.format(doctor=doctor, demo=ends, image=image))
    (at / "labw").chmod(0o755)
    return at


@pytest.mark.parametrize(("ends", "doctor"), [(0, 0), (6, 4)])
def test_the_demo_ends_with_the_demos_code_and_leaves_its_results(
    tmp_path: Path, repo: Path, ends: int, doctor: int
) -> None:
    code, said, told, asked = demo(
        demo_checkout(tmp_path, repo, ends=ends, doctor=doctor), "--form", "a,b", "--seed", "7"
    )
    assert code == ends
    assert asked[-1] == "labw demo --yes --down --plain --form a,b --seed 7"
    assert "labw cache keys --form a,b" in [line.strip() for line in asked]
    assert "ebpf: INDICATIVE." in said
    assert re.search(rf"== in all: \d+ s, exit {ends}$", told.strip())
    results = tmp_path / "lab-results"
    assert (results / "junit.xml").read_text() == "junit.xml\n"
    assert (results / "run/guest").is_dir()
    assert (results / "logs/l").is_file()


def test_a_broken_doctor_ends_it_with_the_doctors_code(tmp_path: Path, repo: Path) -> None:
    code, _, _, asked = demo(demo_checkout(tmp_path, repo, doctor=75))
    assert code == 75
    assert not [line for line in asked if line.startswith("labw demo")]


def test_its_settings_are_not_taken_for_those_of_lab(repo: Path) -> None:
    """`lab` refuses every LAB_* that it does not know."""
    assert set(re.findall(r"\bLAB_[A-Z_]+", (repo / ".ci/demo").read_text(encoding="utf-8"))) <= {"LAB_HOME", "LAB_"}
    flow = yaml.safe_load((repo / ".github/workflows/demo.yml").read_text(encoding="utf-8"))
    assert not [name for name in flow["jobs"]["demo"]["env"] if name.startswith("LAB_")]


def test_what_one_job_kept_the_next_one_takes_and_what_is_old_goes(tmp_path: Path, repo: Path) -> None:
    at, keep = demo_checkout(tmp_path, repo), tmp_path / "kept between jobs"
    assert [line for line in demo(at, keep=keep)[3] if line.startswith("had")] == []
    assert (keep / "cache/images/i1/file").is_file()
    assert demo(at, keep=keep, home="fresh")[3][-2:] == ["had images/i1", "had artifacts/a1"]
    assert demo(demo_checkout(at, repo, image="i2"), keep=keep, home="newer")[3][-1] == "had artifacts/a1"
    assert sorted(path.name for path in (keep / "cache/images").iterdir()) == ["i2"]


def test_a_half_copied_entry_is_not_taken_for_whole(tmp_path: Path, repo: Path) -> None:
    at, keep = demo_checkout(tmp_path, repo), tmp_path / "keep"
    (keep / "cache/images/i1.part").mkdir(parents=True)
    assert [line for line in demo(at, keep=keep)[3] if line.startswith("had")] == []
    assert sorted(path.name for path in (keep / "cache/images").iterdir()) == ["i1"]


def test_a_demo_that_fails_before_its_run_keeps_what_it_made(tmp_path: Path, repo: Path) -> None:
    at, keep = demo_checkout(tmp_path, repo, ends=5), tmp_path / "keep"
    code, _, told, _ = demo(at, keep=keep)
    assert code == 5
    assert "no run" in told
    assert (keep / "cache/artifacts/a1").is_dir()
    assert not (tmp_path / "lab-results/run").exists()


def test_the_key_of_a_ci_cache_is_all_that_is_printed(tmp_path: Path, repo: Path) -> None:
    code, said, _, asked = demo(demo_checkout(tmp_path, repo), "--keys", "--form=a")
    assert (code, said) == (0, "abc123\n")
    assert asked[-1].strip() == "labw cache keys --json --form=a"
    assert not [line for line in asked if line.startswith("labw demo")]


# --- GitHub ----------------------------------------------------------------------------------------------------------


def test_the_workflow_hands_its_inputs_to_the_script_and_invents_none(repo: Path) -> None:
    text = (repo / ".github/workflows/demo.yml").read_text(encoding="utf-8")
    flow = yaml.safe_load(text)
    on = flow[True]  # YAML 1.1 reads `on` so
    declared = set(on["workflow_call"]["inputs"])
    assert set(on["workflow_dispatch"]["inputs"]) <= declared
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == declared
    (job,) = flow["jobs"].values()
    steps = {step.get("id", step["name"]): step for step in job["steps"]}
    assert ".ci/demo --keys" in steps["keys"]["run"]
    assert ".ci/demo" in steps["demo"]["run"]
    assert "continue-on-error" not in steps["demo"]  # exit 6 fails the job
    assert steps["upload"]["if"].startswith("${{ !cancelled()")
    for step in job["steps"]:
        assert "${{ inputs" not in step.get("run", ""), "an input is data: it goes through the environment"


def test_other_systems_run_tests_that_are_there(repo: Path) -> None:
    flow = yaml.safe_load((repo / ".github/workflows/hosts.yml").read_text(encoding="utf-8"))
    for job in flow["jobs"].values():
        assert any(".ci" in step.get("run", "") and "host-tests" in step["run"] for step in job["steps"])
    lines = (repo / ".ci/host-tests").read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if not line.startswith("#")]
    assert len(named) > 20
    assert [name for name in named if not (repo / name).is_file()] == []
