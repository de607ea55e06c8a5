"""stdout and stderr as we write to them: no character is lost in any encoding, and a write that fails says where."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from typing import Any, Final, TextIO

STDOUT: Final = "standard output"
ERRORS: Final = "lab-ascii"
# What stands for a character where the stream's encoding has no place for it.
PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("−‐‑‒–—―─━", "-"),
        **dict.fromkeys("‘’‚′", "'"),
        **dict.fromkeys("“”„″«»", '"'),
        **dict.fromkeys("│┃¦", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╵╷╶╴", "+"),
        **dict.fromkeys("█▇▆▅▄▃▂▁■▪▓▒░", "#"),
        **dict.fromkeys("•·∙●⋅", "*"),
        **dict.fromkeys("✓✔", "ok"),
        **dict.fromkeys("✗✘", "x"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
        "→": "->",
        "←": "<-",
        "↔": "<->",
        "⇒": "=>",
        "↑": "^",
        "↓": "v",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "≈": "~",
        "±": "+/-",
        "×": "x",
        "÷": "/",
        "∞": "inf",
        "µ": "u",
        "μ": "u",
        "°": " deg",
        "Δ": "delta",
        "σ": "sigma",
        "√": "sqrt",
        "€": "EUR",
        "§": "section ",
        "ß": "ss",
        "⚠": "!",
        "▶": ">",
        "▸": ">",
    }
)


def plain(text: str) -> str:
    """`text` in ASCII: its equivalent where there is one, else the letter without its marks, else the escape."""
    out = []
    for char in text:
        told = char.translate(PLAIN)
        if not told.isascii():
            told = unicodedata.normalize("NFKD", told).translate(PLAIN)
            told = "".join(each for each in told if not unicodedata.combining(each))
        out.append(told if told.isascii() else char.encode("ascii", "backslashreplace").decode())
    return "".join(out)


def prepare() -> None:
    """Call once, before anything is written."""
    codecs.register_error(ERRORS, _replaced)
    if sys.stderr is None:  # closed by the caller (2>&-): the answer on stdout still counts
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the whole process
    sys.stdout = _named(sys.stdout, _Stdout)
    sys.stderr = _named(sys.stderr, _Stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


class _Stdout(io.FileIO):
    """Fails once, by name: which of our files failed decides what helps. What comes later has nowhere to go."""

    lost = False

    def write(self, data: Any, /) -> int:
        try:
            return memoryview(data).nbytes if self.lost else super().write(data)
        except OSError as error:
            self.lost, error.filename = True, STDOUT
            raise


class _Stderr(io.FileIO):
    """Work does not end because nobody can be told of it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _named(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    """The same stream over a file of that kind; what is no plain file (none at all, a console of Windows) as it is."""
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))  # itself under `python -u`
    ours = stream in (sys.__stdout__, sys.__stderr__)  # nobody has put another in its place
    if not ours or not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:
        return stream
    stream.flush()
    buffer = io.BufferedWriter(kind(raw.fileno(), "w", closefd=False))
    options: dict[str, Any] = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=ERRORS, newline=None, **options)
