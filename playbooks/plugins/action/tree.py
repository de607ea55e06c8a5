"""The controller's half of `tree`: reads a role's files and hands them to the module in one round trip.

One task that lays forty files costs what one task with one file costs; over SSH into an emulated machine that
is the difference between five seconds and five minutes.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

OPTIONS = frozenset({"from", "extra", "text", "links", "masks", "absent"})
MASK = "/dev/null"


class ActionModule(ActionBase):
    """`from`: a folder below the role's files/, laid onto /. `extra`: place -> a file here. `text`: place -> content.

    `links`: place -> target of a symbolic link. `masks`: places that become links to /dev/null. `absent`: places to
    remove. A file that begins with "#!" or is an ELF program gets mode 0755, any other 0644.
    """

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = self._task.args
        unknown = sorted(set(options) - OPTIONS)
        if unknown:
            raise AnsibleActionFail(f"tree has no option {', '.join(unknown)}; it has {', '.join(sorted(OPTIONS))}")
        links = dict(options.get("links") or {})
        links.update(dict.fromkeys(options.get("masks") or [], MASK))
        arguments = {"files": self._files(options), "links": links, "absent": list(options.get("absent") or [])}
        result: dict[str, Any] = self._execute_module(
            module_name="tree_apply", module_args=arguments, task_vars=task_vars
        )
        return result

    def _files(self, options: dict[str, Any]) -> dict[str, dict[str, str]]:
        contents: dict[str, bytes] = {}
        if "from" in options:
            top = Path(self._find_needle("files", options["from"]))
            for path in sorted(top.rglob("*")):
                if path.is_file():
                    contents["/" + path.relative_to(top).as_posix()] = path.read_bytes()
        for place, source in (options.get("extra") or {}).items():
            contents[place] = Path(source).read_bytes()
        for place, text in (options.get("text") or {}).items():
            contents[place] = text.encode()
        return {place: _entry(data) for place, data in contents.items()}


def _entry(data: bytes) -> dict[str, str]:
    # the executable bit is told by content: a wheel or a Windows checkout may have lost the file's own
    executable = data.startswith((b"#!", b"\x7fELF"))
    return {"mode": "0755" if executable else "0644", "base64": base64.b64encode(data).decode()}
