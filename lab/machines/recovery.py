"""Finds the ids of a machine whose state is lost, from what is left of it, so that it can still be removed."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.machines import keys
from lab.machines.providers import PROVIDERS
from lab.model.errors import LabError, Unreadable
from lab.model.machine import Handle, Seed
from lab.model.paths import HOST_KEY_FILE, IDENTITY_FILE
from lab.system.documents import Source, content

MOST_BYTES: Final = 1 << 20
MOST_FILES: Final = 50
ID_DIGITS: Final = 32
_IDS: Final = re.compile(rb'"(?:machine_id|uuid)":\s*"([0-9a-f-]{32,36})"')


def handles(name: str, directory: Path) -> Iterator[Handle]:
    """A handle of each provider for each machine id found; usable for `inspect`, `stop` and `delete`."""
    for seed in _seeds(directory):
        for provider in PROVIDERS.values():
            yield provider.recover(seed, name, directory)


def _seeds(directory: Path) -> Iterator[Seed]:
    """By its host key, then by the ids in its documents, also damaged ones."""
    own = by_key(directory)
    if own is not None:
        yield own
    for machine_id in sorted(_ids(directory)):
        if own is None or machine_id != own.machine_id:
            yield _bare(machine_id, directory)


def _ids(directory: Path) -> set[str]:
    """Ids in the folder's documents, complete or truncated."""
    ids = set()
    for path in itertools.islice(itertools.chain(directory.glob("*.json*"), directory.glob("*/*.json")), MOST_FILES):
        with contextlib.suppress(Unreadable):
            data = content(Source(path=path, name=str(path), fix=""), MOST_BYTES)
            ids |= {found.decode().replace("-", "") for found in _IDS.findall(data)}
    return {machine_id for machine_id in ids if len(machine_id) == ID_DIGITS}


def by_key(directory: Path) -> Seed | None:
    """None when the host key is missing or invalid: it must not be generated here. The user's key may be missing."""
    if not (directory / HOST_KEY_FILE).exists():
        return None
    try:
        host_key = keys.public(directory / HOST_KEY_FILE, keys.HOST_COMMENT)
    except LabError:
        return None
    bare = _bare(keys.machine_id(host_key), directory)
    return Seed(
        machine_id=bare.machine_id,
        host_key_private=bare.host_key_private,
        host_key_public=host_key,
        user_key_private=bare.user_key_private,
        user_key_public="",
    )


def _bare(machine_id: str, directory: Path) -> Seed:
    """An id without its keys."""
    return Seed(
        machine_id=machine_id,
        host_key_private=directory / HOST_KEY_FILE,
        host_key_public="",
        user_key_private=directory / IDENTITY_FILE,
        user_key_public="",
    )
