"""Code that decides what an image holds cannot change unnoticed: its digest stands beside the number of the recipe."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from pathlib import Path
from types import ModuleType

import pytest

from lab.machines.images import idle_module, image, rootfs
from lab.machines.images.cloud import boot as cloud_boot
from lab.machines.images.cloud import convert as cloud_convert
from lab.machines.images.cloud import disk as cloud_disk
from lab.machines.images.cloud import nocloud
from lab.machines.images.kernels import unpack
from lab.machines.provisioning import namespaces, playbook
from lab.machines.vm import initrd

BAKED = (rootfs, idle_module, initrd, unpack, playbook, namespaces)
CLOUD = (cloud_boot, cloud_disk, nocloud)


def digest(*sources: str) -> str:
    """Of the lines that do something: no comment, docstring, import or empty line; the same for every Python."""
    total = hashlib.sha256()
    for source in sources:
        lines = source.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.stmt) and _does_nothing(node):
                for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    lines[row - 1] = ""
        total.update("\n".join(line.rstrip() for line in lines if line.strip()).encode())
    return total.hexdigest()[:16]


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def code(modules: tuple[ModuleType, ...]) -> str:
    return digest(*(Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules))


@pytest.mark.parametrize(
    ("modules", "recipe", "recorded"),
    [
        pytest.param(BAKED, image.RECIPE, (2, "fb50a0cf9736d979"), id="baked"),
        pytest.param(CLOUD, cloud_convert.RECIPE, (1, "7865f72fbad0ab22"), id="cloud"),
    ],
)
def test_changed_code_is_noticed(modules: tuple[ModuleType, ...], recipe: int, recorded: tuple[int, str]) -> None:
    assert (recipe, code(modules)) == recorded, (
        "the code that makes images changed: raise RECIPE if an image now holds something else, then record both here"
    )


def test_a_move_and_a_comment_change_nothing() -> None:
    before = '"""One."""\nimport a\n\ndef f() -> int:\n    """Two."""\n    return 1\n'
    after = '"""Other."""\nfrom x import a\n\n# why\ndef f() -> int:\n    return 1\n'
    assert digest(before) == digest(after) != digest(before.replace("1", "2"))
