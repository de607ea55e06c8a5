"""Where Debian packages come from: this machine's own apt settings, never an address of ours."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from lab.model.errors import PreconditionError
from lab.system import proc
from lab.system.wait import Deadline

ASK_S: Final = 30.0
TARGET_FORMAT: Final = "$(SITE)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
POCKETS: Final = ("{suite}", "{suite}-updates", "{suite}-security")
SETTINGS: Final = (
    "Acquire::Check-Date",
    "Acquire::Check-Valid-Until",
    "Acquire::Retries",
    "Acquire::http::",
    "Acquire::https::",
)
"""What of this machine's apt settings also holds for making an image: proxies, certificates, dated mirrors."""


def sources(suite: str) -> tuple[str, ...]:
    """One-line apt sources of Debian's `suite` as this machine has them. Raises PreconditionError when it has none."""
    argv = [proc.need("apt-get"), "indextargets", "--format", TARGET_FORMAT, "Created-By: Packages"]
    result = proc.run(argv, deadline=Deadline.after(ASK_S))
    found = parse_targets(result.text(), suite)
    if not found:
        raise PreconditionError(
            f"this machine's apt sources hold no Debian {suite} to make the image from",
            fix=f"add a Debian mirror's {suite} (component main) to /etc/apt/sources.list.d/ and run apt-get update",
        )
    return found


def parse_targets(text: str, suite: str) -> tuple[str, ...]:
    """Source lines from the output of `apt-get indextargets`, main pocket first.

    An archive that calls itself Debian counts; one that was never updated has no name yet and counts by its path.
    """
    order = [pocket.format(suite=suite) for pocket in POCKETS]
    lines: dict[str, int] = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 4:
            continue
        site, release, component, origin = fields
        named = urlsplit(site).path.rstrip("/").endswith(("/debian", "/debian-security"))
        debian = origin == "Debian" or (origin in ("", "$(ORIGIN)") and named)
        if debian and release in order and component == "main":
            lines[f"deb {site} {release} main"] = order.index(release)
    has_base = 0 in lines.values()
    return tuple(sorted(lines, key=lambda line: lines[line])) if has_base else ()


def settings() -> tuple[str, ...]:
    """This machine's apt settings that also hold for making an image, as apt.conf lines."""
    result = proc.run([proc.need("apt-config"), "dump"], deadline=Deadline.after(ASK_S))
    return tuple(choose_settings(result.text().splitlines()))


def choose_settings(lines: Iterable[str]) -> list[str]:
    """The lines of `apt-config dump` that carry a value and whose name is one of SETTINGS."""
    chosen = []
    for line in lines:
        name, _, value = line.partition(" ")
        if value not in ("", '"";') and name.startswith(SETTINGS):
            chosen.append(line)
    return chosen


def shown(lines: Iterable[str]) -> str:
    """Source lines without credentials, for a log or a manifest."""
    return "; ".join(" ".join(_without_login(word) for word in shlex.split(line)) for line in lines)


def _without_login(word: str) -> str:
    parts = urlsplit(word)
    if not parts.username and not parts.password:
        return word
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
