"""The commands of file transfer: one round trip each, POSIX sh and coreutils only.

Commands instead of SFTP: no subsystem to start in an emulated guest, and a checksum in the same round trip.
"""

from __future__ import annotations

from typing import Final

CHECKSUM_DIFFERS: Final = 65
NO_SUCH_FILE: Final = 66

# $1 target, $2 SHA-256 of the content, $3 octal mode. A broken connection leaves a short file: its checksum differs,
# so it is removed and the target stays as it was.
_PUT: Final = f"""set -eu
case $1 in */*) d=${{1%/*}} ;; *) d=. ;; esac
mkdir -p -- "${{d:-/}}"
t=$1.part.$$
trap 'rm -f -- "$t"' EXIT
(umask 077; cat > "$t")
s=$(sha256sum < "$t")
[ "${{s%% *}}" = "$2" ] || exit {CHECKSUM_DIFFERS}
chmod "$3" -- "$t"
mv -fT -- "$t" "$1"
"""

# $1 file, $2 first byte, counted from 1 as tail does
_GET: Final = f"""[ -e "$1" ] || exit {NO_SUCH_FILE}
exec tail -c "+$2" -- "$1"
"""

# $1 the leader of a process group, which gets three seconds to exit after TERM.
_END: Final = """kill -s TERM -- "-$1" 2>/dev/null || exit 0
n=0
while kill -0 "-$1" 2>/dev/null && [ $n -lt 30 ]; do sleep 0.1; n=$((n + 1)); done
kill -s KILL -- "-$1" 2>/dev/null
"""


def put_argv(target: str, sha256: str, mode: int) -> tuple[str, ...]:
    """Write standard input to `target`, whole or not at all."""
    return ("sh", "-c", _PUT, "put", target, sha256, format(mode, "o"))


def get_argv(source: str, offset: int) -> tuple[str, ...]:
    """Print `source` from byte `offset` on to its current end."""
    return ("sh", "-c", _GET, "get", source, str(offset + 1))


def end_argv(group: int) -> tuple[str, ...]:
    """End a process group: TERM, a grace period, KILL."""
    return ("sh", "-c", _END, "end", str(group))
