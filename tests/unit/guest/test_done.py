"""What a form's starts are: its own, whatever other forms are called."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.guest.run.done import LIFE_FILE, LIVES_DIR, life_failure, started
from lab.guest.wire import Life


def test_a_form_whose_name_goes_on_with_a_dot_is_another(tmp_path: Path) -> None:
    context: Any = SimpleNamespace(out=tmp_path)
    for name in ("1-ebpf.next.1", "1-ebpf.2.1", "1-ebpf.next.2"):
        folder = tmp_path / LIVES_DIR / name
        folder.mkdir(parents=True)
        (folder / LIFE_FILE).write_text(json.dumps({"ok": False, "reason": f"{name} failed"}))
    ebpf, following = Life(block=1, form="ebpf", cells=()), Life(block=1, form="ebpf.next", cells=())
    assert (started(context, ebpf), life_failure(context, ebpf)) == (False, "")
    assert (started(context, following), life_failure(context, following)) == (True, "1-ebpf.next.1 failed")
    folder = tmp_path / LIVES_DIR / "1-ebpf.12"
    folder.mkdir()
    (folder / LIFE_FILE).write_text(json.dumps({"ok": False, "reason": "cannot attach"}))
    assert (started(context, ebpf), life_failure(context, ebpf)) == (True, "cannot attach")
