"""Reader of the build.yaml of a Go helper: how its binary is built."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.form import BuildSpec
from lab.model.loading.typed import build
from lab.model.loading.yamlspec import read

BUILD_FILE: Final = "build.yaml"


def load_build(root: Path) -> BuildSpec:
    """Read build.yaml of a Go helper's folder. Raises ConfigError with every problem."""
    doc = read(root / BUILD_FILE).schema(1).only("schema", "build").require("build")
    spec = build(doc.section("build"), BuildSpec)
    doc.document.finish()
    return spec
