"""Control characters in a show file: they would steer the speaker's terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from lab.model.loading import yamltext

CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline
FREE: Final = "argv"  # what a program is given is its own matter


def faults(node: yaml.Node, path: str = "") -> Iterator[tuple[yaml.Node, str, str]]:
    """(node, path, problem) of each text with such a character, at any depth."""
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            yield from faults(item, f"{path}[{at}]")
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != FREE:
                yield from faults(value, yamltext.join(path, str(key.value)))
    elif isinstance(node, yaml.ScalarNode) and (found := CONTROL.search(str(node.value))):
        yield node, path, f"contains the control character U+{ord(found[0]):04X}, which would steer a terminal"
