"""The problems of a document: each mistake is one line, and all independent mistakes are reported in one pass.

A missing value or one of the wrong type closes its key: everything below it is unread, so further problems there
follow from the same mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

import yaml

from lab.model.errors import ConfigError
from lab.model.loading import yamltext

V = TypeVar("V")
PLACE: Final = re.compile(r".+?:\d+:\d+(?=: )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The places of the keys of a document, for messages about them from other files."""

    name: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)  # key path -> file:line:column
    closed: frozenset[str] = frozenset()

    def at(self, path: str) -> str:
        """file:line:column of a key; of the document where the key is missing."""
        return f"{self.marks.get(path, f'{self.name}:1:1')}: {path}"

    def sound(self, *paths: str) -> bool:
        """Whether these keys are valid, or missing."""
        return not any(_related(one, path) for one in self.closed for path in paths)


@dataclass(slots=True)
class Document:
    """One YAML file being read; `problems` grows until `finish` raises them all together."""

    name: str
    root: yaml.Node | None = None
    problems: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def problem(self, node: yaml.Node | None, path: str, text: str, *, closes: bool = False) -> None:
        """Record a problem, unless it is at or below a closed key. `closes`: the value is invalid."""
        silent = any(_below(path, one) for one in self.closed)
        if closes:
            self.closed.add(path)
        if silent:
            return
        mark = node.start_mark if node is not None else None
        place = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
        line = f"{place}: {path + ': ' if path else ''}{text}"
        if line not in self.problems:  # a section may be read several times
            self.problems.append(line)

    def sound(self, *paths: str) -> bool:
        """Whether these values and all values in them are valid: only then are rules across them checked."""
        return not any(_related(one, path) for one in self.closed for path in paths)

    def places(self) -> Places:
        """The places of all keys, for rules across several files."""
        marks = {path: f"{self.name}:{at.line + 1}:{at.column + 1}" for path, at in _marks(self.root, "")}
        return Places(name=self.name, marks=marks, closed=frozenset(self.closed))

    def finish(self, problems: list[str] | None = None) -> None:
        """Raise the problems; or append them to `problems`, so that the valid part is still checked."""
        if problems is not None:
            problems += self.problems
        elif self.problems:
            raise problems_error(self.problems)


class Told(str):
    """The message of an error that was collected, with its own fix."""

    __slots__ = ("fix",)
    fix: str

    def __new__(cls, error: ConfigError) -> Self:
        message = super().__new__(cls, error.message)
        message.fix = error.fix
        return message


def problems_error(problems: list[str]) -> ConfigError:
    """One error for all problems, in order; those that `collect` appended count one by one."""
    split = (line.strip() for problem in problems for line in problem.split("\n") if not line.endswith(" problems:"))
    lines = list(dict.fromkeys(split))
    head = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} problems:", *lines])
    placed = next(filter(None, map(PLACE.match, lines)), None)
    own = next((problem.fix for problem in problems if isinstance(problem, Told)), "use a known name")
    return ConfigError(head, fix=f"edit {placed[0]}" if placed else own)


def collect(read_one: Callable[[], V], problems: list[str]) -> V | None:
    """Run a reader; appends its ConfigError to `problems`, so that several files are reported together."""
    try:
        return read_one()
    except ConfigError as error:
        problems.append(Told(error))
        return None


def _below(path: str, top: str) -> bool:
    return not top or path == top or path.startswith((f"{top}.", f"{top}["))


def _related(one: str, other: str) -> bool:
    return _below(one, other) or _below(other, one)


def _marks(node: yaml.Node | None, path: str) -> Iterator[tuple[str, yaml.Mark]]:
    if node is None:
        return
    yield path, node.start_mark
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _marks(item, f"{path}[{i}]")
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _marks(value, yamltext.join(path, str(key.value)))
