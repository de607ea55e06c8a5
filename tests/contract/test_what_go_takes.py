"""What plain `go build` takes, `lab` takes: each layout is built where it lies by Go alone, and from our copy of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.contract.layouts import ASKS, LIB, LINK, MAIN, MOD, Layout, embeds, go, lay, read, said

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("pinned_toolchain")]  # first: GOPROXY is off below

LAYOUTS: Final[dict[str, Layout]] = {
    "gowork-replace": Layout(
        files={
            **LIB,
            "go.work": "go 1.24\n\nuse ./svc\n\nreplace ex.org/lib => ./lib\n",
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n",
            "svc/word.go": ASKS,
        }
    ),
    "gowork-replace beats that of go.mod, and a block is one": Layout(
        files={
            **LIB,
            "go.work": 'go 1.24\n\nuse (\n\t"./svc" // ours\n)\n\nreplace (\n\tex.org/lib v0.0.0 => "./lib"\n)\n',
            "other/go.mod": "module ex.org/lib\n",
            "other/lib.go": 'package lib\n\nconst Word = "of go.mod"\n',
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib v0.0.0 => ../other\n",
            "svc/word.go": ASKS,
        }
    ),
    "two versions replaced by one folder": Layout(
        files={
            **LIB,
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v1.1.0\n\n"
            "replace ex.org/lib v1.0.0 => ../lib\n\nreplace ex.org/lib v1.1.0 => ../lib\n",
            "svc/word.go": ASKS,
        }
    ),
    "a used module's own replacement counts": Layout(
        files={
            **LIB,
            "go.work": "go 1.24\n\nuse (\n\t./svc\n\t./mid\n)\n",
            "mid/go.mod": "module ex.org/mid\n\ngo 1.24\n\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ../lib\n",
            "mid/mid.go": 'package mid\n\nimport "ex.org/lib"\n\nconst Word = lib.Word\n',
            "svc/word.go": 'package main\n\nimport "ex.org/mid"\n\nconst word = mid.Word\n',
        }
    ),
    "a used module wins over a replacement of it": Layout(
        files={
            **LIB,
            "go.work": "go 1.24\n\nuse (\n\t./svc\n\t./lib\n)\n",
            "other/go.mod": "module ex.org/lib\n",
            "other/lib.go": 'package lib\n\nconst Word = "of go.mod"\n',
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v1.0.0\n\nreplace ex.org/lib => ../other\n",
            "svc/word.go": ASKS,
        }
    ),
    "a workspace whose top has no module": Layout(
        files={**LIB, "go.work": "go 1.24\n\nuse (\n\t./svc\n\t./lib\n)\n", "svc/word.go": ASKS}, root=".", main="./svc"
    ),
    "a replacement with a space and an @ in its path": Layout(
        files={
            **{name.replace("lib/", "li b@v1/", 1): text for name, text in LIB.items()},
            "svc/go.mod": f'{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => "../li b@v1"\n',
            "svc/word.go": ASKS,
        }
    ),
    "an absolute replacement": Layout(
        files={
            **LIB,
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => {{top}}/lib\n",
            "svc/word.go": ASKS,
        }
    ),
    "a module within the service": Layout(
        files={
            **{f"svc/{name}": text for name, text in LIB.items()},
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ./lib\n",
            "svc/word.go": ASKS,
        }
    ),
    "stale-replace": Layout(
        files={
            "svc/go.mod": f"{MOD}\nreplace ex.org/unused => ../not-there\n\nreplace ex.org/file => ./main.go\n",
            "svc/word.go": 'package main\n\nconst word = "ok"\n',
        }
    ),
    "linked-folder": Layout(
        files={
            "shared/greet/g.go": 'package greet\n\nconst Word = "ok"\n',
            "svc/greet": f"{LINK}../shared/greet",
            "svc/word.go": 'package main\n\nimport "ex.org/svc/greet"\n\nconst word = greet.Word\n',
        }
    ),
    "symlink-dir": Layout(
        files={
            "svc/internal/real/real.go": 'package real\n\nconst Word = "ok"\n',
            "svc/words": f"{LINK}internal/real",
            "svc/word.go": 'package main\n\nimport "ex.org/svc/words"\n\nconst word = real.Word\n',
        }
    ),
    "links in a ring, a pipe, an editor's lock": Layout(
        files={
            "svc/ring/self": f"{LINK}..",
            "svc/.#main.go": f"{LINK}somebody@host.1234",
            "svc/word.go": 'package main\n\nconst word = "ok"\n',
        }
    ),
    "the service's folder is itself a link": Layout(
        files={"real/go.mod": MOD, "real/main.go": MAIN, "real/word.go": ASKS.replace("ex.org/lib", "ex.org/svc/in")}
        | {"real/in/in.go": 'package lib\n\nconst Word = "ok"\n', "svc": f"{LINK}real"},
    ),
    "embed-build-yaml": Layout(
        files={"svc/build.yaml": "ok", "svc/word.go": embeds("build.yaml", "build.yaml"), "svc/main.go": MAIN}
    ),
    "embedded-service-yaml": Layout(
        files={
            "svc/conf/service.yaml": "ok",
            "svc/conf/conf.go": 'package conf\n\nimport _ "embed"\n\n//go:embed service.yaml\nvar Text string\n',
            "svc/word.go": 'package main\n\nimport "ex.org/svc/conf"\n\nvar word = conf.Text\n',
        }
    ),
    "embedded hidden files": Layout(
        files={
            "svc/web/.gitignore": "ok",
            "svc/web/_part.html": "x",
            "svc/web/.git-blame/deep file.txt": "x",
            "svc/word.go": embeds("all:web", "web/.gitignore"),
        }
    ),
    "embedded scenario of its own name, and everything beside": Layout(
        files={"svc/scenario.yaml": "ok", "svc/word.go": embeds("*.yaml *.go", "scenario.yaml")}
    ),
    "an embedded link": Layout(
        files={"shared/w.txt": "ok", "svc/w.txt": f"{LINK}../shared/w.txt", "svc/word.go": embeds("w.txt", "w.txt")},
        plain=False,  # only with GODEBUG=embedfollowsymlinks=1
    ),
    "assembly that includes from beside": Layout(
        files={
            "svc/asm/inc.h": "#define OK 7\n",
            "svc/asm/more.inc": '#include "../shared.inc"\n',
            "svc/shared.inc": "#define MORE 0\n",
            "svc/asm/a_amd64.s": '#include "textflag.h"\n#include "inc.h"\n#include "more.inc"\n\n'
            "TEXT ·F(SB),NOSPLIT,$0-8\n\tMOVQ $(OK+MORE), ret+0(FP)\n\tRET\n",
            "svc/asm/a.go": "package asm\n\nfunc F() int\n",
            "svc/word.go": 'package main\n\nimport "ex.org/svc/asm"\n\nvar word = map[int]string{7: "ok"}[asm.F()]\n',
        }
    ),
    "go-line": Layout(
        files={
            "svc/go.mod": "module ex.org/svc\n\ngo 1.26.8\n\ntoolchain go1.27.3\n",
            "svc/word.go": 'package main\n\nconst word = "ok"\n',
        },
        plain=False,  # by the pinned Go
    ),
    "a go-line of a replaced module": Layout(
        files={
            **LIB,
            "lib/go.mod": "module ex.org/lib\n\ngo 1.26.8\n",
            "svc/go.mod": f"{MOD}\nrequire ex.org/lib v0.0.0\n\nreplace ex.org/lib => ../lib\n",
            "svc/word.go": ASKS,
        },
        plain=False,
    ),
    "a go-line of go.work": Layout(
        files={**LIB, "go.work": "go 1.26.9\n\nuse (\n\t./svc\n\t./lib\n)\n", "svc/word.go": ASKS}, plain=False
    ),
    "a vendor folder with modules that nobody serves": Layout(
        files={
            "svc/go.mod": f"{MOD}\nrequire (\n\tex.org/own v1.0.0\n\tex.org/own/inner v1.2.0\n)\n\n"
            "replace ex.org/own => ../not-there\n",
            "svc/vendor/modules.txt": "# ex.org/own v1.0.0 => ../not-there\n## explicit; go 1.24\nex.org/own\n"
            "# ex.org/own/inner v1.2.0\n## explicit; go 1.24\nex.org/own/inner/deep\n# ex.org/own => ../not-there\n",
            "svc/vendor/ex.org/own/own.go": 'package own\n\nimport "ex.org/own/inner/deep"\n\nconst Word = deep.Word\n',
            "svc/vendor/ex.org/own/inner/deep/deep.go": 'package deep\n\nconst Word = "ok"\n',
            "svc/word.go": 'package main\n\nimport "ex.org/own"\n\nconst word = own.Word\n',
        }
    ),
    "the vendor folder of a workspace": Layout(
        files={
            **LIB,
            "lib/go.mod": "module ex.org/lib\n\ngo 1.24\n\nrequire ex.org/own v1.0.0\n",
            "lib/lib.go": 'package lib\n\nimport "ex.org/own"\n\nconst Word = own.Word\n',
            "go.work": "go 1.24\n\nuse (\n\t./svc\n\t./lib\n)\n",
            "vendor/modules.txt": "## workspace\n# ex.org/own v1.0.0\n## explicit; go 1.24\nex.org/own\n",
            "vendor/ex.org/own/own.go": 'package own\n\nconst Word = "ok"\n',
            "svc/word.go": ASKS,
        }
    ),
    "the service in a folder of its module": Layout(
        files={
            "svc/cmd/it/main.go": MAIN,
            "svc/cmd/it/word.go": 'package main\n\nimport "ex.org/svc/internal/w"\n\nconst word = w.Word\n',
            "svc/internal/w/w.go": 'package w\n\nconst Word = "ok"\n',
        },
        root="svc/cmd/it",
    ),
    "a program in cmd, generics, build tags, a read-only file": Layout(
        files={
            "svc/cmd/it/main.go": MAIN,
            "svc/cmd/it/word_linux.go": "package main\n\nvar word = first([]string{text})\n",
            "svc/cmd/it/word_windows.go": "package main\n\nvar word = 1\n",
            "svc/cmd/it/never.go": "//go:build never\n\npackage main\n\nconst word = 2\n",
            "svc/cmd/it/g.go": 'package main\n\nfunc first[T any](all []T) T { return all[0] }\n\nconst text = "ok"\n',
            "svc/cmd/it/default.pgo": "",
        },
        main="./cmd/it",
    ),
}


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_what_go_takes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "off")  # nothing here has to be downloaded
    layout = LAYOUTS[name]
    service = lay(tmp_path / "src", layout)
    if name.startswith("links"):
        os.mkfifo(service.root / "pipe")
    binary = tmp_path / "plain"
    built = go(service.root, "build", "-o", str(binary), layout.main, GOWORK="", GOFLAGS="-buildvcs=false")
    assert (built.returncode == 0) is layout.plain, built.stderr
    if layout.plain:
        assert said(binary) == "ok"
    source = read(service, tmp_path)
    ours = tmp_path / "ours"
    built = go(source.tree.copy(), "build", "-o", str(ours), source.main, GOFLAGS="-mod=mod -buildvcs=false")
    assert built.returncode == 0, built.stderr
    assert said(ours) == "ok"
    assert read(service, tmp_path, copy=False).tree.digest == source.tree.digest
