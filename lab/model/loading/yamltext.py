"""YAML text to nodes; refuses invalid YAML, aliases and deep nesting, and finds duplicate keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from lab.model.errors import ConfigError

MAX_DEPTH: Final = 24
HALF: Final = re.compile("[\ud800-\udfff]")
HALF_FAULT: Final = "contains a lone surrogate (U+D800 to U+DFFF), which is not valid text"


def compose(name: str, text: str) -> yaml.Node:
    """The root node, an empty mapping for an empty text. Raises ConfigError."""
    try:
        loader = _Guarded(text)
        loader.name = name
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise _syntax_error(name, error) from error
    return node or yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark(name, 0, 0, 0, None, 0))


def wrong_keys(node: yaml.Node, path: str = "") -> Iterator[tuple[yaml.Node, str, str]]:
    """(node, path, problem) of each duplicate key and each invalid text, at any depth."""
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from wrong_keys(item, f"{path}[{i}]")
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                yield key_node, path, "a key must be one value, not a list or mapping"
                continue
            key = str(key_node.value)
            if key in keys:
                yield key_node, join(path, key), "duplicate key"
            keys.add(key)
            yield from wrong_keys(value_node, join(path, key))
    elif isinstance(node, yaml.ScalarNode) and HALF.search(str(node.value)):
        yield node, path, HALF_FAULT


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


class _Guarded(yaml.SafeLoader):
    """Refuses aliases (they can expand without bound) and deep nesting as it meets them, before more is built."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            place = _place(self.name, event.start_mark)
            raise ConfigError(f"{place}: YAML aliases are not allowed", fix=f"write the value out at {place}")
        if not isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            return super().compose_node(parent, index)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            place = _place(self.name, event.start_mark)
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels", fix=f"edit {place}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _syntax_error(name: str, error: yaml.YAMLError) -> ConfigError:
    place = _place(name, getattr(error, "problem_mark", None))
    why = getattr(error, "problem", None) or str(error).splitlines()[0]
    return ConfigError(f"{place}: not valid YAML: {why}", fix=f"edit {place}")


def _place(name: str, mark: Any) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
