"""Reads ELF files with pyelftools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile


@contextmanager
def reading(stream: IO[bytes]) -> Iterator[ELFFile]:
    """The file in `stream`, read lazily. Raises ValueError for a damaged one or another format."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        yield ELFFile(stream)
    except (ELFError, ConstructError, OverflowError) as error:
        raise ValueError(f"a damaged ELF file: {error}") from error
