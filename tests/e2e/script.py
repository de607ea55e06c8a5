"""End-to-end scripts: a command per block, with the exit code and the text that must be seen.

    # A second `up` changes nothing.
    $ lab up demo
    exit 0
    stderr already

`$ lab …` runs this checkout's `lab`, `$ ./labw …` the bootstrap, anything else a program, in the script's own folder.
`stdout`/`stderr` lines hold text that the stream must contain, `stdout!` what it must not; `json KEY VALUE` compares a
path in the JSON answer, `has KEY` wants it there and not empty; `within SECONDS` bounds the wall time. Default: exit 0.
`lab` is on the PATH of every program that a script runs.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import ROOT


@dataclass(slots=True)
class Block:
    """One command and what is expected of it."""

    line: int
    argv: list[str]
    code: int = 0
    within_s: float = 900.0
    wants: list[tuple[str, str]] = field(default_factory=list)


def parse(text: str) -> list[Block]:
    """Blocks of a script. Raises ValueError naming the line that is none of the known kinds."""
    blocks: list[Block] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "$":
            blocks.append(Block(line=number, argv=shlex.split(rest)))
        elif not blocks:
            raise ValueError(f"line {number}: a command comes first")
        elif word == "exit":
            blocks[-1].code = int(rest)
        elif word == "within":
            blocks[-1].within_s = float(rest)
        elif word in ("stdout", "stderr", "stdout!", "stderr!", "json", "has"):
            blocks[-1].wants.append((word, rest))
        else:
            raise ValueError(f"line {number}: {word!r} is not known")
    return blocks


def run(path: Path, *, home: Path, cwd: Path) -> Iterator[str]:
    """Run a script; yields a line per passed block, raises AssertionError with all that was seen at the first wrong."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    env |= {
        "LAB_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{_shim(cwd)}{os.pathsep}{os.environ['PATH']}",
    }
    for block in parse(path.read_text(encoding="utf-8")):
        argv = list(block.argv)
        if argv[0] == "lab":
            argv = [sys.executable, "-m", "lab", *argv[1:]]
        elif argv[0] == "./labw":
            argv[0] = str(ROOT / "labw")
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=block.within_s + 60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        took = time.monotonic() - began
        wrong = list(_wrong(block, done.returncode, done.stdout, done.stderr, took))
        said = f"{path.name}:{block.line}: $ {shlex.join(block.argv)} ({took:.1f} s)"
        assert not wrong, "\n".join(
            [said, *wrong, "--- stdout", done.stdout[-6000:], "--- stderr", done.stderr[-6000:]]
        )
        yield said


def _shim(cwd: Path) -> Path:
    """A folder whose only program is this checkout's `lab`."""
    folder = cwd / ".bin"
    folder.mkdir(exist_ok=True)
    program = folder / "lab"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lab "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return folder


def _wrong(block: Block, code: int, stdout: str, stderr: str, took: float) -> Iterator[str]:
    if code != block.code:
        yield f"exit {code}, expected {block.code}"
    if took > block.within_s:
        yield f"took {took:.1f} s, expected within {block.within_s:g} s"
    streams = {"stdout": stdout, "stderr": stderr}
    for kind, text in block.wants:
        if kind == "json":
            yield from _wrong_json(text, stdout)
        elif kind == "has":
            yield from _wrong_json(f"{text} null", stdout, other=True)
        elif kind.endswith("!") and text in streams[kind[:-1]]:
            yield f"{kind[:-1]} must not hold {text!r}"
        elif not kind.endswith("!") and text not in streams[kind]:
            yield f"{kind} lacks {text!r}"


def _wrong_json(want: str, stdout: str, *, other: bool = False) -> Iterator[str]:
    """`want`: a path and a JSON value; `other`: any value will do that is not empty."""
    key, _, expected = want.partition(" ")
    try:
        value: Any = json.loads(stdout.strip().splitlines()[-1])
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (ValueError, LookupError) as error:
        yield f"no {key} in the JSON answer ({error!r})"
        return
    if other and value in (None, "", [], {}):
        yield f"{key} is empty"
    elif not other and value != json.loads(expected):
        yield f"{key} is {value!r}, expected {expected}"
