"""The sources of Debian packages: this host's apt settings, never an address in lab."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.model.errors import PreconditionError
from lab.system import proc
from lab.system.wait import Deadline

ASK_S: Final = 30.0
TARGET_FORMAT: Final = "$(SITE)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
PACKAGES_URI: Final = re.compile(r"^'([^']+?)/+dists/([^/]+)/([^/]+)/binary-[^/]+/Packages", re.MULTILINE)
POCKETS: Final = ("", "updates", "security")
"""The parts of a release: the release itself, then its updates."""
SETTINGS: Final = (
    "Acquire::Check-Date",
    "Acquire::Check-Valid-Until",
    "Acquire::Retries",
    "Acquire::http::",
    "Acquire::https::",
)
"""The apt settings of this host that an image build uses too: proxies, certificates, dated mirrors."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One component of one release on one mirror. `origin`: the archive's name for itself, empty when unknown."""

    site: str
    release: str
    component: str
    origin: str


def sources(suite: str, pockets: Sequence[str] = POCKETS) -> tuple[str, ...]:
    """One-line apt sources of Debian's `suite`: this host's own, else from its mirror of another release.
    Raises PreconditionError when it has no Debian source at all."""
    apt_get = proc.require_tool("apt-get")
    argv = [apt_get, "indextargets", "--format", TARGET_FORMAT, "Created-By: Packages"]
    known = parse_targets(proc.run(argv, deadline=Deadline.after(ASK_S)).text())
    if not any(map(_is_debian, known)):
        # apt lists an archive's targets only after the first update, but always the URIs that it would fetch
        argv = [apt_get, "update", "--print-uris"]
        known = parse_uris(proc.run(argv, deadline=Deadline.after(ASK_S)).text())
    found = choose_sources(known, suite, pockets) or choose_sources(of_release(known, suite), suite, pockets)
    if not found:
        raise PreconditionError(
            f"this host's apt sources have no Debian {suite} to build the image from",
            fix=f"add a Debian mirror's {suite} (component main) to /etc/apt/sources.list.d/",
        )
    return found


def of_release(archives: Iterable[Archive], suite: str) -> list[Archive]:
    """The same mirrors' archives of another release: a Debian mirror has every maintained release."""
    found = []
    for one in archives:
        release, dash, pocket = one.release.partition("-")
        if _is_debian(one) and pocket in POCKETS and release.isalpha():
            found.append(dataclasses.replace(one, release=f"{suite}{dash}{pocket}"))
    return found


def parse_targets(text: str) -> list[Archive]:
    """Archives from the output of `apt-get indextargets --format TARGET_FORMAT`."""
    rows = [line.split("|") for line in text.splitlines()]
    return [Archive(*row) for row in rows if len(row) == len(dataclasses.fields(Archive))]


def parse_uris(text: str) -> list[Archive]:
    """Archives, without their origin, from the output of `apt-get update --print-uris`."""
    return [Archive(site, release, component, "") for site, release, component in PACKAGES_URI.findall(text)]


def choose_sources(archives: Iterable[Archive], suite: str, pockets: Sequence[str] = POCKETS) -> tuple[str, ...]:
    """Source lines for the archives of Debian's `suite`, the base first; () without the base."""
    order = [f"{suite}-{pocket}" if pocket else suite for pocket in pockets]
    lines: dict[str, int] = {}
    for one in archives:
        if _is_debian(one) and one.release in order:
            lines[f"deb {one.site} {one.release} main"] = order.index(one.release)
    return tuple(sorted(lines, key=lambda line: lines[line])) if 0 in lines.values() else ()


def _is_debian(archive: Archive) -> bool:
    """Component main of an archive of origin Debian; an unknown origin is decided by the path."""
    named = urlsplit(archive.site).path.rstrip("/").endswith(("/debian", "/debian-security"))
    return archive.component == "main" and (archive.origin == "Debian" or (archive.origin == "" and named))


def settings() -> tuple[str, ...]:
    """This host's apt settings that an image build uses too, as apt.conf lines."""
    result = proc.run([proc.require_tool("apt-config"), "dump"], deadline=Deadline.after(ASK_S))
    return tuple(choose_settings(result.text().splitlines()))


def choose_settings(lines: Iterable[str]) -> list[str]:
    """The lines of `apt-config dump` that have a value and a name in SETTINGS."""
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
