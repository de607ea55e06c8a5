"""A copy of the bootstrap to run labw in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

LAB: Final = """
import sys


def main() -> int:
    print("lab got", sys.argv[1:])
    return 7 if "fail" in sys.argv else 0
"""


class Checkout:
    """A copy of the bootstrap around a tiny `lab`, and the LAB_HOME it uses."""

    def __init__(self, root: Path, repo: Path, *, whole: bool = False) -> None:
        self.root = root / "check out"  # a space, as in many home folders
        self.home = root / "home"
        shutil.copytree(repo / "requirements", self.root / "requirements")
        for name in ("labw", "pyproject.toml"):
            shutil.copy(repo / name, self.root)
        (self.root / "lab" / "cli").mkdir(parents=True)
        (self.root / "lab" / "system").mkdir()
        shutil.copy(repo / "lab/system/installers.py", self.root / "lab/system")
        (self.root / "lab" / "__init__.py").write_text('__version__ = "0.0.1"\n')
        (self.root / "lab" / "cli" / "__init__.py").write_text(LAB)
        # Most tests are about labw, not about forty packages.
        if not whole:
            self.lock(only="typing-extensions")

    @property
    def kept(self) -> Path:
        return self.home / "cache" / "labw"

    def lock(self, *, only: str) -> None:
        """Cut run.txt down to one package."""
        path = self.root / "requirements" / "run.txt"
        text = path.read_text()
        start = text.index(f"\n{only}==") + 1
        end = text.find("\n    # via", start)
        path.write_text(text[start:end] + "\n")

    def env(self, **extra: str) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LAB_", "VIRTUAL_ENV"))
        }
        # uv's own download cache, so that each test does not fetch everything again; "" for what a user has
        cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
        given = {**kept, "LAB_HOME": str(self.home), "UV_CACHE_DIR": cache, **extra}
        return {name: value for name, value in given.items() if value}

    def start(self, *argv: str, cwd: Path | str | None = None, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "labw"), *argv],
            env=self.env(**extra),
            cwd=cwd or self.root.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *argv: str, cwd: Path | str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        with self.start(*argv, cwd=cwd, **extra) as child:
            out, err = child.communicate(timeout=170)
        return subprocess.CompletedProcess(argv, child.returncode, out, err)

    def environments(self) -> list[Path]:
        return sorted(self.kept.glob("env.*"))
