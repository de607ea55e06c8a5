"""labw where variables hold what Python or a program cannot use: it is named and ignored, and `lab` runs."""

from __future__ import annotations

import subprocess

import pytest

from tests.contract.labw.checkout import Checkout

pytestmark = pytest.mark.contract
# Each ends Python, or changes what it does, before `lab` has a say.
FOR_OTHERS = {
    "PYTHONHASHSEED": "x",
    "PYTHONMALLOC": "x",
    "PYTHONTRACEMALLOC": "x",
    "PYTHONINTMAXSTRDIGITS": "x",
    "PYTHONDEVMODE": "1",
    "PYTHONVERBOSE": "1",
    "PYTHON_GIL": "x",
    "PYTHON_CPU_COUNT": "x",
    "PYTHON_FROZEN_MODULES": "x",
    "PYTHONHOME": "/nowhere",
    "PYTHONCASEOK": "1",
    "PYTHONPLATLIBDIR": "x",
}
WRONG = (
    ("PYTHONUTF8", "x", "Python takes 0 or 1"),
    ("PYTHONUTF8", "2", "Python takes 0 or 1"),
    ("PYTHONIOENCODING", "nosuch", "Python has no such encoding"),
    ("PYTHONIOENCODING", "hex:strict", "Python has no such encoding"),
    ("XDG_CACHE_HOME", "here", "it is not an absolute path"),
    ("XDG_DATA_HOME", "./here", "it is not an absolute path"),
    ("TMPDIR", "here", "it is not an absolute path"),
    ("HOME", "here; touch PWNED", "it is not an absolute path"),
)


def test_no_variable_ends_python_before_lab_starts(checkout: Checkout) -> None:
    ended = checkout.run("x", **FOR_OTHERS)
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    for name, value, why in WRONG:
        ended = checkout.run("x", **FOR_OTHERS, **{name: value})
        assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
        assert ended.stderr == f"labw: {name}={value} is ignored: {why}\n"
    for name, value in (("PYTHONUTF8", "0"), ("PYTHONIOENCODING", "ascii"), ("PYTHONIOENCODING", ":replace")):
        ended = checkout.run("x", **{name: value})
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "lab got ['x']\n", "")
    assert {path.name for path in checkout.root.parent.iterdir()} == {"check out", "home"}


def test_a_relative_home_is_named_where_it_is_needed(checkout: Checkout) -> None:
    ended = checkout.run("x", HOME="here", XDG_CACHE_HOME="there", LAB_HOME="")
    assert ended.returncode == 4
    assert [line.partition(": LAB_HOME=")[0] for line in ended.stderr.splitlines()] == [
        "labw: HOME=here is ignored: it is not an absolute path",
        "labw: XDG_CACHE_HOME=there is ignored: it is not an absolute path",
        "labw: error: neither HOME nor LAB_HOME is set",
        "  fix",
    ]


def test_lab_home_is_read_as_lab_reads_it(checkout: Checkout) -> None:
    """A tilde that no shell expanded (an .env file, a Dockerfile), and a path from the working folder."""
    for given in ("~/home", "home"):
        ended = checkout.run("x", LAB_HOME=given, HOME=str(checkout.root.parent))
        assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    assert len(checkout.environments()) == 1
    assert {path.name for path in checkout.root.parent.iterdir()} == {"check out", "home"}


def test_an_input_that_is_a_folder_is_named(checkout: Checkout) -> None:
    """Python ends by itself there: "<stdin> is a directory, cannot continue"."""
    argv = ["sh", "-c", 'exec "$0" x </', str(checkout.root / "labw")]
    done = subprocess.run(argv, env=checkout.env(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "labw: error: standard input is a folder\n  fix: give it a file, or </dev/null\n"
    argv = ["sh", "-c", 'exec "$0" x <&-', str(checkout.root / "labw")]
    done = subprocess.run(argv, env=checkout.env(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "lab got ['x']\n"), done.stderr
