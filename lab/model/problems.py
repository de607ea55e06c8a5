"""What is wrong with a document: one mistake is one line, and every independent mistake is reported in one pass.

A value that is missing or of the wrong type closes its key: what lies below it was never read, so further lines about
it would be of the same mistake.
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
    """Where the keys of a document that was read stand, for what another file says about them."""

    name: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)  # key path -> file:line:column
    closed: frozenset[str] = frozenset()

    def at(self, path: str) -> str:
        """file:line:column of a key; of the whole document where the key is not given."""
        return f"{self.marks.get(path, f'{self.name}:1:1')}: {path}"

    def sound(self, *paths: str) -> bool:
        """Whether these were read as they stand there, or are not given at all."""
        return not any(_related(one, path) for one in self.closed for path in paths)


@dataclass(slots=True)
class Document:
    """One YAML file being read; `problems` grows until `finish` raises them all together."""

    name: str
    root: yaml.Node | None = None
    problems: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def problem(self, node: yaml.Node | None, path: str, text: str, *, closes: bool = False) -> None:
        """Note it, unless it speaks of what lies at or below a closed key. `closes`: the value cannot be used."""
        silent = any(_below(path, one) for one in self.closed)
        if closes:
            self.closed.add(path)
        if silent:
            return
        mark = node.start_mark if node is not None else None
        place = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
        line = f"{place}: {path + ': ' if path else ''}{text}"
        if line not in self.problems:  # a section may be read many times
            self.problems.append(line)

    def sound(self, *paths: str) -> bool:
        """Whether these values, and all in them, could be used: else a rule that joins them would tell nothing new."""
        return not any(_related(one, path) for one in self.closed for path in paths)

    def places(self) -> Places:
        """Where everything stands, for rules that join several files."""
        marks = {path: f"{self.name}:{at.line + 1}:{at.column + 1}" for path, at in _marks(self.root, "")}
        return Places(name=self.name, marks=marks, closed=frozenset(self.closed))

    def finish(self, problems: list[str] | None = None) -> None:
        """Raise what was noted; or let it join `problems`, so that what could be read is still compared."""
        if problems is not None:
            problems += self.problems
        elif self.problems:
            raise problems_error(self.problems)


class Told(str):
    """The message of an error that was collected, with its own fix."""

    __slots__ = ("fix",)
    fix: str

    def __new__(cls, error: ConfigError) -> Self:
        told = super().__new__(cls, error.message)
        told.fix = error.fix
        return told


def problems_error(problems: list[str]) -> ConfigError:
    """One error for everything that is wrong, first problem first; what `collect` joined counts one by one."""
    lines = (line.strip() for told in problems for line in told.split("\n") if not line.endswith(" problems:"))
    each = list(dict.fromkeys(lines))
    head = each[0] if len(each) == 1 else "\n  ".join([f"{len(each)} problems:", *each])
    placed = next(filter(None, map(PLACE.match, each)), None)
    own = next((told.fix for told in problems if isinstance(told, Told)), "use the names that there are")
    return ConfigError(head, fix=f"edit {placed[0]}" if placed else own)


def collect(read_one: Callable[[], V], problems: list[str]) -> V | None:
    """Run a reader; its ConfigError's text joins `problems`, so that several files are reported together."""
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
