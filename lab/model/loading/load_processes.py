"""Reader of a topology: the processes of a service, and how each gets its port."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

from lab.guest.wire import ProcessSpec
from lab.model.loading.yamlspec import Section, nearest
from lab.model.names import file_name_fault

PLACEHOLDER: Final = re.compile(r"\{port:([^{}]*)\}")


def load_processes(
    topologies: Section, name: str, ports: Collection[str], required: Collection[str]
) -> tuple[ProcessSpec, ...]:
    """The processes of topology `name`, in start order; `required`: ports that must be used."""
    items = topologies.sections(name)
    processes = tuple(_process(item, ports) for item in items)
    topologies.check(name, "" if processes else "at least one process is required")
    for key, values in (
        ("name", [process.name.replace(" ", "_") for process in processes if process.name]),
        ("files", [file for process in processes for file in process.files]),
    ):
        for twice in sorted({value for value in values if values.count(value) > 1}):
            topologies.complain(name, f"two processes have the {'name' if key == 'name' else 'file'} {twice!r}")
    given = {port for process in processes for text in _texts(process) for port in PLACEHOLDER.findall(text)}
    for port in sorted(set(required) - given) if processes and topologies.sound(name) else ():
        topologies.complain(
            name,
            f"no process gets port {port}: {{port:{port}}} is in no argv, env or files. lab chooses a free port for"
            " each start, so the service must take its port from a flag, a variable or a file, not from its source",
        )
    return processes


def _process(item: Section, ports: Collection[str]) -> ProcessSpec:
    item.only("name", "argv", "env", "files").require("name")
    process = ProcessSpec(
        name=item.text("name"), argv=item.strs("argv"), env=item.texts("env"), files=item.texts("files")
    )
    if item.has("name"):
        item.check("name", file_name_fault(process.name))
    for key, texts in (("argv", process.argv), ("env", process.env.values()), ("files", process.files.values())):
        for text in texts:
            item.check(key, "a NUL character cannot be passed to a process" if "\0" in text else "")
            for port in PLACEHOLDER.findall(text):
                if port not in ports and item.document.sound("ports"):
                    item.complain(key, f"{{port:{port}}}: {port!r} is not one of ports{nearest(port, ports)}")
    for name in process.env:
        fault = "" if re.fullmatch(r"[^=\0]+", name) else f"{name!r} is not a variable name"
        item.section("env").check(name, fault)
    for name in process.files:
        item.section("files").check(name, _file_fault(name))
    return process


def _file_fault(name: str) -> str:
    path = PurePosixPath(name)
    plain = name != "" and not path.is_absolute() and name == "/".join(path.parts) and ".." not in path.parts
    return "" if plain and name.isprintable() and "\\" not in name else f"{name!r} is not a path below the work folder"


def _texts(process: ProcessSpec) -> tuple[str, ...]:
    return (*process.argv, *process.env.values(), *process.files.values())
