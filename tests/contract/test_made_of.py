"""What a binary was made from is read from programs that Go has really built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.forms import sources
from lab.forms.sources import Sources
from lab.system.wait import Deadline
from tests.support import go_environment, lab_at, pinned_go, test_home

pytestmark = pytest.mark.contract

PROGRAM = {
    "go.mod": "module shop\n\ngo 1.26\n\nrequire example.org/kit/v2 v2.0.1\n\nreplace example.org/kit/v2 => ./kit\n",
    "kit/go.mod": "module example.org/kit/v2\n\ngo 1.26\n",
    "kit/kit.go": "package kit\n\n//go:noinline\nfunc Sell() { println(1) }\n",
    "main.go": 'package main\n\nimport "example.org/kit/v2"\n\nfunc main() {\n\tdial()\n\tkit.Sell()\n}\n',
    # main inlines it, and is not woven for that
    "dial.go": "package main\n\nfunc dial() {\n\tprintln(2)\n//line <generated>:1\n\tprintln(3)\n}\n",
}


def test_modules_and_woven_files(tmp_path: Path) -> None:
    lab, go, deadline = lab_at(test_home()), pinned_go(), Deadline.after(170)
    for name, text in PROGRAM.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def built(name: str, *flags: str) -> Sources:
        argv = [go.go, "build", "-trimpath", "-buildvcs=false", *flags, "-o", name, "."]
        subprocess.run(argv, cwd=tmp_path, env=go_environment(go), check=True)
        return sources.read(lab, go, tmp_path / name, deadline)

    assert built("shop") == Sources(modules=("example.org/kit/v2",), woven=("shop/dial.go",))
    assert built("stripped", "-ldflags=-s -w") == Sources(modules=("example.org/kit/v2",), woven=None)
    assert sources.read(lab, go, tmp_path / "go.mod", deadline) == Sources()
