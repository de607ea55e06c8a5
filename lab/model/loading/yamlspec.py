"""Strict YAML: reports every problem of a file in one pass, with file:line:column, key path and nearest key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lab.model import regular, units
from lab.model.errors import ConfigError
from lab.model.loading import yamltext
from lab.model.problems import Document

MAX_BYTES: Final = 1 << 20
CLOSE: Final = 0.6  # similarity from which an unknown word counts as a typo of a known one


def parse(name: str, text: str) -> Section:
    """Read a mapping from YAML text. Raises ConfigError at once where the text is not valid YAML."""
    document = Document(name)
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_BYTES} bytes", fix=f"edit {name}")
    node = yamltext.compose(name, text)
    document.root = node
    for key_node, place, problem in yamltext.wrong_keys(node):
        document.problem(key_node, place, problem, closes=problem == yamltext.HALF_FAULT)
    return Section.of(document, node, "")


def read(path: Path) -> Section:
    """`parse` of a file. Raises ConfigError also for a missing, unreadable or irregular file (a pipe)."""
    try:
        with regular.opened(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes", fix=f"edit {path}")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", fix=f"create {path} as UTF-8 text") from error
    except UnicodeDecodeError as error:
        before, wrong = error.object[: error.start], error.object[error.start]
        lines = before.decode("utf-8").split("\n")
        place = f"{path}:{len(lines)}:{len(lines[-1]) + 1}"
        raise ConfigError(f"{place}: not UTF-8: byte {wrong:#04x}", fix=f"edit {place}") from error
    return parse(str(path), text)


def nearest(word: str, known: Collection[str]) -> str:
    """ "; did you mean X?" or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=CLOSE)
    return f"; did you mean {close[0]!r}?" if close else ""


def not_one_of(word: str, known: Collection[str]) -> str:
    """The message for a word that is not `known`."""
    return f"{word!r} is not one of {', '.join(known)}{nearest(word, known)}"


def out_of_range(value: float, low: float | None, high: float | None, raw: str = "") -> str:
    """The message for a number that is not finite or out of bounds; "" when it is valid. raw: its text."""
    if math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high):
        return ""
    bounds = f"{'' if low is None else f'at least {low:g}'}{'' if high is None else f' and at most {high:g}'}".strip()
    shown = raw or str(value)
    return f"{shown if len(shown) < 40 else f'{shown[:40]}…'} is out of range{f' ({bounds})' if bounds else ''}"


@dataclass(slots=True)
class Section:
    """A mapping of the file. Getters record problems and return the default, so that reading continues."""

    document: Document
    node: yaml.Node
    path: str
    items: dict[str, yaml.Node]

    @staticmethod
    def of(document: Document, node: yaml.Node, path: str) -> Section:
        items: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            document.problem(node, path, "a mapping is expected", closes=True)
            return Section(document, node, path, items)
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                items[str(key_node.value)] = value_node
        return Section(document, node, path, items)

    def only(self, *known: str) -> Section:
        """Record each key that is not `known`, with the nearest known one. When that one is missing, its value is read
        under the nearest name, so that a typo is one mistake.
        """
        for key in [key for key in self.items if key not in known]:
            value = self.items.pop(key)
            self.document.problem(value, yamltext.join(self.path, key), f"unknown key{nearest(key, known)}")
            for meant in difflib.get_close_matches(key, known, n=1, cutoff=CLOSE):
                if meant not in self.items and isinstance(value, yaml.MappingNode):
                    self.document.closed.add(yamltext.join(self.path, meant))
                self.items.setdefault(meant, value)
        return self

    def has(self, key: str) -> bool:
        return key in self.items and not _is_null(self.items[key])

    @property
    def names(self) -> tuple[str, ...]:
        """The keys given, in order."""
        return tuple(self.items)

    def complain(self, key: str, text: str, *, closes: bool = False) -> None:
        self.document.problem(self.items.get(key, self.node), yamltext.join(self.path, key), text, closes=closes)

    def sound(self, *keys: str) -> bool:
        """Whether the values of these keys are valid: errors that follow from an invalid one are not reported."""
        return self.document.sound(*(yamltext.join(self.path, key) for key in keys))

    def check(self, key: str, fault: str) -> None:
        """Record `fault`, if there is one."""
        if fault:
            self.complain(key, fault)

    def text(self, key: str, default: str | None = None, *, one_of: Collection[str] = ()) -> str:
        value = self._scalar(key, None)
        if value is None:
            return default or ""
        if one_of and value not in one_of:
            self.complain(key, not_one_of(value, one_of), closes=True)
            return default or ""
        return value

    def number(
        self, key: str, default: float | None = None, *, low: float | None = None, high: float | None = None
    ) -> float:
        raw = self._scalar(key, None if default is None else str(default))
        if raw is None or (key not in self.items and default is not None):
            return default or 0.0
        try:
            value = float(raw)
        except ValueError:
            self.complain(key, f"a number is expected, not {raw!r}{units.hint(key, raw)}", closes=True)
            return default or 0.0
        if fault := out_of_range(value, low, high, raw):
            self.complain(key, fault, closes=True)
            return default or 0.0
        return value

    def whole(
        self, key: str, default: int | None = None, *, low: float | None = None, high: float | None = None
    ) -> int:
        value = self.number(key, default, low=low, high=high)
        if value != int(value):
            self.complain(key, f"a whole number is expected, not {value:g}", closes=True)
        return int(value)

    def flag(self, key: str) -> bool:
        if key not in self.items:
            return False
        raw = self._scalar(key, None)
        if raw is None or raw.lower() not in ("true", "false"):
            self.complain(key, f"true or false is expected, not {raw!r}", closes=True)
            return False
        return raw.lower() == "true"

    def strs(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of scalars as text."""
        if not self.has(key):
            return default
        return _texts(self.document, self.items[key], yamltext.join(self.path, key))

    def lists(self, key: str) -> tuple[tuple[str, ...], ...]:
        """A list of lists of scalars (argv steps)."""
        return tuple(
            _texts(self.document, node, f"{yamltext.join(self.path, key)}[{i}]")
            for i, node in enumerate(self._sequence(key))
        )

    def texts(self, key: str) -> dict[str, str]:
        """A mapping of scalars."""
        section = self.section(key)
        return {name: section.text(name) for name in section.names}

    def section(self, key: str) -> Section:
        """A nested mapping; an empty one where the key is missing."""
        place = yamltext.join(self.path, key)
        if not self.has(key):
            empty = yaml.MappingNode("tag:yaml.org,2002:map", [], self.node.start_mark, self.node.end_mark)
            return Section(self.document, empty, place, {})
        return Section.of(self.document, self.items[key], place)

    def sections(self, key: str) -> list[Section]:
        """A list of mappings."""
        place = yamltext.join(self.path, key)
        return [Section.of(self.document, node, f"{place}[{i}]") for i, node in enumerate(self._sequence(key))]

    def each(self) -> Iterator[tuple[str, Section]]:
        """Each key with its mapping."""
        for key in self.items:
            yield key, self.section(key)

    def plain(self, key: str) -> Any:
        """The value as plain YAML data (for values that another program defines); None for an invalid one."""
        if not self.has(key):
            return None
        try:
            return yaml.safe_load(yaml.serialize(self.items[key]))
        except (yaml.YAMLError, ValueError) as error:
            why = getattr(error, "problem", None) or str(error).splitlines()[0]
            self.complain(key, f"not plain YAML data: {why}", closes=True)
            return None

    def require(self, *keys: str) -> Section:
        if not self.path and not self.items:
            self.document.problem(self.node, "", f"is empty; required: {', '.join(keys)}", closes=True)
        for key in keys:
            if not self.has(key):
                self.complain(key, "is required", closes=True)
        return self

    def schema(self, expected: int) -> Section:
        if self.whole("schema", expected) != expected:
            self.complain("schema", f"this lab reads schema {expected}")
        return self

    def _scalar(self, key: str, default: str | None) -> str | None:
        node = self.items.get(key)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode):
            self.complain(key, "one value is expected, not a list or mapping", closes=True)
            return default
        return default if _is_null(node) else str(node.value)

    def _sequence(self, key: str) -> list[yaml.Node]:
        if not self.has(key):
            return []
        node = self.items[key]
        if not isinstance(node, yaml.SequenceNode):
            self.complain(key, "a list is expected", closes=True)
            return []
        return list(node.value)


def _texts(document: Document, node: yaml.Node, path: str) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode):
        document.problem(node, path, "a list is expected", closes=True)
        return ()
    out = []
    for i, item in enumerate(node.value):
        if isinstance(item, yaml.ScalarNode):
            out.append(str(item.value))
        else:
            document.problem(item, f"{path}[{i}]", "one value is expected", closes=True)
    return tuple(out)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
