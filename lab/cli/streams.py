"""stdout and stderr: characters outside the stream's encoding are replaced, a failed write names the stream."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from typing import Any, Final, TextIO

STDOUT: Final = "standard output"
ERRORS: Final = "lab-ascii"
# Replacements for characters that the stream's encoding does not have.
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
        ascii_ = char.translate(PLAIN)
        if not ascii_.isascii():
            ascii_ = unicodedata.normalize("NFKD", ascii_).translate(PLAIN)
            ascii_ = "".join(letter for letter in ascii_ if not unicodedata.combining(letter))
        out.append(ascii_ if ascii_.isascii() else char.encode("ascii", "backslashreplace").decode())
    return "".join(out)


def prepare() -> None:
    """Call once, before the first write."""
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
    """The first failed write raises, with the stream's name, which decides the fix; later writes are dropped."""

    lost = False

    def write(self, data: Any, /) -> int:
        try:
            return memoryview(data).nbytes if self.lost else super().write(data)
        except OSError as error:
            self.lost, error.filename = True, STDOUT
            raise


class _Stderr(io.FileIO):
    """Ignores failed writes: a command does not fail because stderr is closed."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _named(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    """The same stream over a file of that kind; unchanged when it is not a plain file (None, a Windows console)."""
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))  # itself under `python -u`
    ours = stream in (sys.__stdout__, sys.__stderr__)  # not replaced by a test or a caller
    if not ours or not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:
        return stream
    stream.flush()
    buffer = io.BufferedWriter(kind(raw.fileno(), "w", closefd=False))
    options: dict[str, Any] = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=ERRORS, newline=None, **options)
