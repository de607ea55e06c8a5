"""Runs Go commands on a source, and turns their failures into errors with the right fix."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.model.errors import DemoError, LabError, TransientError
from lab.model.regular import content
from lab.system import proc
from lab.system.toolchain import Toolchain
from lab.system.wait import Deadline

# The output of a failed download, in contrast to a module that cannot be resolved.
NETWORK: Final = re.compile(
    r"dial tcp|i/o timeout|connection re(set|fused)|no such host|TLS handshake|unexpected EOF|50[0234] "
)
NEWER_GO: Final = re.compile(r"(?:go: )?(?:module )?(.+?) requires go >= (\S+) \(running go ([\w.]+)")
MISSING: Final = re.compile(r"(?:no required module provides|cannot find module providing) package ([^\s:;]+)")
# Go's output -> the fix. The first match counts; {folder} is where to run Go.
FIXES: Final = (
    (r"pattern .*: no matching files found", "add the file that //go:embed names, or correct that line"),
    (r"pattern .*: (cannot embed|invalid pattern)", "correct the //go:embed line, or the files that it names"),
    (r"errors parsing .*go\.(mod|work)", "correct the file at that line"),
    (r"replacement directory .* does not exist|replaced by .*reading .*go\.mod", "correct that replace line"),
    (r"missing go\.sum entry|updates to go\.mod needed", "run `go mod tidy` in {folder}"),
    (r"directory not found|no Go files in", "set `main` in service.yaml to the folder of a Go program"),
    (r"no required module provides|cannot find module providing", "run `go get` for that package in {folder}"),
    (r"checksum mismatch|SECURITY ERROR", "check who changed that module; go.sum has the expected checksum"),
    (r"(404|410) |unknown revision|invalid version", "correct that module's version in {folder}/go.mod"),
    (r"reading .*: 40[013] ", "check that module's name and version in {folder}/go.mod, or GOPROXY and GOPRIVATE"),
    (r"is not in std|use of internal package|import cycle|malformed import path", "correct that import"),
    (r"build constraints exclude all Go files", "give that package a file for linux that needs no cgo"),
    (r"expected 'package'|expected ';'|syntax error|: expected ", "correct that file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go toolchain with its environment and deadline."""

    toolchain: Toolchain
    env: dict[str, str]
    deadline: Deadline
    on_line: Callable[[str], None] | None = None  # gets each line of output

    def run(self, words: Sequence[str], folder: Path) -> proc.Result:
        """Run `go WORDS` in `folder`, by exactly this path: through a symbolic link, `..` has another target."""
        env = {**self.env, "PWD": str(folder)}
        argv = [self.toolchain.go, *words]
        return proc.run(argv, deadline=self.deadline, env=env, cwd=folder, on_line=self.on_line)

    def text(self, words: Sequence[str], folder: Path, what: str) -> str:
        """Its output. Raises the error of `refusal`; `what` is the subject of the message."""
        result = self.run(words, folder)
        if not result.ok:
            raise refusal(f"{what}: `go {' '.join(words[:2])}` failed", result.tail(), folder)
        return result.text()

    def document(self, words: Sequence[str], folder: Path, what: str) -> dict[str, Any]:
        """The JSON object it prints."""
        return dict(json.loads(self.text(words, folder, what)))


def refusal(message: str, detail: str, folder: Path) -> LabError:
    """The error for Go's output: a network failure may be retried, others have their own fix."""
    if NETWORK.search(detail):
        fix = "check the network or GOPROXY, then run the command again"
        return TransientError(message, fix=fix, detail=detail)
    if newer := NEWER_GO.search(detail):
        who, wanted, ours = newer.groups()
        file = Path(who, "go.mod") if Path(who).is_absolute() else Path(who)
        fix = f"require a version of {who.partition('@')[0]} for Go {ours} or older"
        if file.name == "go.mod":
            fix, who = f"lower the go line of {file} to {ours}", f"{file}:{line_of(file, 'go', wanted)}"
        message = f"{message}: {who} requires Go {wanted}, forms are built with {ours}"
        return DemoError(message, fix=fix, detail=detail)
    otherwise = "run `go build` in {folder} and correct its errors"
    fix = next((fix for pattern, fix in FIXES if re.search(pattern, detail)), otherwise)
    return DemoError(message, fix=fix.format(folder=folder), detail=detail)


def missing_here(found: Sequence[Mapping[str, Any]], modules: Mapping[str, Path], top: Path) -> DemoError | None:
    """The error for an imported package that is missing in one of these modules (path -> folder), where `go get` would
    not help. `found`: the packages that Go listed in `top`."""
    for error in (package.get("Error") or {} for package in found):
        lost = MISSING.search(str(error.get("Err")))
        homes = [path for path in modules if lost and f"{lost[1]}/".startswith(f"{path}/")]
        if not lost or not homes:
            continue
        home = max(homes, key=len)
        folder = modules[home] / lost[1].removeprefix(home).strip("/")
        at = os.path.normpath(top / str(error.get("Pos") or "go.mod"))
        return DemoError(
            f"{at}: package {lost[1]} does not exist in module {home}: {folder} has no Go file",
            fix=f"correct the import at {at}, or add that package",
        )
    return None


def line_of(file: Path, *words: str) -> int:
    """The number of the line that begins with these words; 1 when none does."""
    lines = content(file).decode("utf-8", "replace").splitlines() if file.is_file() else []
    return next((at for at, line in enumerate(lines, 1) if tuple(line.split()[: len(words)]) == words), 1)


def outside(folder: Path) -> Path:
    """A new folder for queries about one module: it is a module itself, so that it is not inside another."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "go.mod").write_text("module lab.example/outside\n\ngo 1.21\n", encoding="utf-8")
    return folder


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that `go list -json` prints one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, at)
        yield value
