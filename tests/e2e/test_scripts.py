"""The scripts of tests/e2e/scripts on a real, emulated machine, in order; each builds on the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import script
from tests.support import test_home

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.vm
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_script(path: Path, tmp_path: Path) -> None:
    ran = list(script.run(path, home=test_home(), cwd=tmp_path))
    assert len(ran) == len(script.parse(path.read_text(encoding="utf-8")))
