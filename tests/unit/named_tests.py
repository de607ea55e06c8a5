"""Whether a test that a page names can hold what it says there: pytest collects and runs it, and it asserts."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
RAISING = {"raises", "warns", "fail"}
NOT_RUN = {"skip", "xfail"}


def fault(repo: Path, named: str) -> str:
    """Why `file::function` (or `file::Class::function`) holds nothing; "" where it does."""
    name, _, inside = named.partition("::")
    path = repo / name
    if not inside:
        return "names a file, not a test of it"
    if not name.startswith("tests/") or not path.name.startswith("test_") or not path.is_file():
        return "is in no file that pytest collects"
    body: list[ast.stmt] = _module(path).body
    *classes, function = inside.split("::")
    for one in classes:
        found = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == one), None)
        if found is None or not one.startswith("Test") or _not_run(found.decorator_list):
            return "is in no class that pytest collects"
        body = found.body
    test = next((node for node in body if isinstance(node, Function) and node.name == function), None)
    if test is None or not function.startswith("test"):
        return "is no test of that file"
    if _not_run([*test.decorator_list, *_marks(_module(path).body)]) or any(map(_skips, test.body)):
        return "is never run"
    return "" if _asserts(repo, path, test, set()) else "asserts nothing"


@functools.cache
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _marks(body: list[ast.stmt]) -> list[ast.expr]:
    """What `pytestmark` says of every test of a file."""
    given = [node.value for node in body if isinstance(node, ast.Assign) and _named(node.targets[0]) == "pytestmark"]
    return [mark for value in given for mark in (value.elts if isinstance(value, ast.List | ast.Tuple) else [value])]


def _not_run(marks: list[ast.expr]) -> bool:
    for mark in marks:
        call = mark if isinstance(mark, ast.Call) else None
        name = _named(call.func if call else mark)
        condition = call.args[0] if call and call.args else None
        always = not isinstance(condition, ast.expr) or (isinstance(condition, ast.Constant) and bool(condition.value))
        if name == "skip" or (name in {"skipif", "xfail"} and always):
            return True
    return False


def _skips(statement: ast.stmt) -> bool:
    """Under no condition, and so what follows is never reached."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and _named(call.func) in NOT_RUN


def _named(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _asserts(repo: Path, path: Path, function: Function, seen: set[tuple[Path, str]]) -> bool:
    """Itself, or in a function of the tests that it calls."""
    seen.add((path, function.name))
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            if _named(node.func) in RAISING:
                return True
            for place, helper in _called(repo, path, node.func):
                if (place, helper.name) not in seen and _asserts(repo, place, helper, seen):
                    return True
    return False


def _called(repo: Path, path: Path, called: ast.expr) -> list[tuple[Path, Function]]:
    """The functions of the tests that a name may be: of this file, or of one that it imports."""
    places = [path] if isinstance(called, ast.Name) else []
    source = called.value if isinstance(called, ast.Attribute) else called
    for node in ast.walk(_module(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            folder = repo.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                if (alias.asname or alias.name) == _named(source):
                    places += [folder.with_suffix(".py"), folder / f"{alias.name}.py"]
    return [
        (place, node)
        for place in places
        if place.is_file()
        for node in ast.walk(_module(place))
        if isinstance(node, Function) and node.name == _named(called)
    ]
