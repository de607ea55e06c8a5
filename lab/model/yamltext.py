"""YAML text to nodes: refused whole where it is not YAML or could blow up, and searched for keys given twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml

from lab.model.errors import ConfigError

MAX_DEPTH: Final = 24


def compose(name: str, text: str) -> yaml.Node:
    """The root node, an empty mapping for an empty text. Raises ConfigError."""
    try:
        _guard(name, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _syntax_error(name, error) from error
    return node or yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark(name, 0, 0, 0, None, 0))


def wrong_keys(node: yaml.Node, path: str = "") -> Iterator[tuple[yaml.Node, str, str]]:
    """(where, path, problem) of each key that its mapping has already, at any depth, whether or not it is read."""
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from wrong_keys(item, f"{path}[{i}]")
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                yield key_node, path, "a key is one value, not a list or mapping"
                continue
            key = str(key_node.value)
            if key in seen:
                yield key_node, join(path, key), "given twice"
            seen.add(key)
            yield from wrong_keys(value_node, join(path, key))


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _guard(name: str, text: str) -> None:
    """Refuse aliases (they can blow up) and deep nesting before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{name}:{line}: YAML aliases are not allowed", fix="write the value out")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError(f"{name} is nested deeper than {MAX_DEPTH} levels", fix=f"edit {name}")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _syntax_error(name: str, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    return ConfigError(f"{place}: not valid YAML: {said}", fix=f"edit {place}")
