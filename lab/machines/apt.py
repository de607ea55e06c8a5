"""Where Debian packages come from: this machine's own apt settings, never an address of ours."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.model.errors import PreconditionError
from lab.system import proc
from lab.system.wait import Deadline

ASK_S: Final = 30.0
TARGET_FORMAT: Final = "$(SITE)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
PACKAGES_URI: Final = re.compile(r"^'([^']+?)/+dists/([^/]+)/([^/]+)/binary-[^/]+/Packages", re.MULTILINE)
POCKETS: Final = ("{suite}", "{suite}-updates", "{suite}-security")
SETTINGS: Final = (
    "Acquire::Check-Date",
    "Acquire::Check-Valid-Until",
    "Acquire::Retries",
    "Acquire::http::",
    "Acquire::https::",
)
"""What of this machine's apt settings also holds for making an image: proxies, certificates, dated mirrors."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One component of one release at one place. `origin`: what the archive calls itself, empty when not known."""

    site: str
    release: str
    component: str
    origin: str


def sources(suite: str) -> tuple[str, ...]:
    """One-line apt sources of Debian's `suite` as this machine has them. Raises PreconditionError when it has none."""
    apt_get = proc.need("apt-get")
    argv = [apt_get, "indextargets", "--format", TARGET_FORMAT, "Created-By: Packages"]
    found = choose_sources(parse_targets(proc.run(argv, deadline=Deadline.after(ASK_S)).text()), suite)
    if (
        not found
    ):  # apt knows the targets of an archive only after its first update; what it would fetch it always knows
        argv = [apt_get, "update", "--print-uris"]
        found = choose_sources(parse_uris(proc.run(argv, deadline=Deadline.after(ASK_S)).text()), suite)
    if not found:
        raise PreconditionError(
            f"this machine's apt sources hold no Debian {suite} to make the image from",
            fix=f"add a Debian mirror's {suite} (component main) to /etc/apt/sources.list.d/",
        )
    return found


def parse_targets(text: str) -> list[Archive]:
    """Archives from the output of `apt-get indextargets --format TARGET_FORMAT`."""
    rows = [line.split("|") for line in text.splitlines()]
    return [Archive(*row) for row in rows if len(row) == len(dataclasses.fields(Archive))]


def parse_uris(text: str) -> list[Archive]:
    """Archives, without their origin, from the output of `apt-get update --print-uris`."""
    return [Archive(site, release, component, "") for site, release, component in PACKAGES_URI.findall(text)]


def choose_sources(archives: Iterable[Archive], suite: str) -> tuple[str, ...]:
    """Source lines for what of `archives` is Debian's `suite`, the base first; nothing when the base is not there.

    An archive that calls itself Debian counts; one whose origin is not known counts by its path.
    """
    order = [pocket.format(suite=suite) for pocket in POCKETS]
    lines: dict[str, int] = {}
    for one in archives:
        named = urlsplit(one.site).path.rstrip("/").endswith(("/debian", "/debian-security"))
        debian = one.origin == "Debian" or (one.origin == "" and named)
        if debian and one.release in order and one.component == "main":
            lines[f"deb {one.site} {one.release} main"] = order.index(one.release)
    return tuple(sorted(lines, key=lambda line: lines[line])) if 0 in lines.values() else ()


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
