"""What this machine's apt says, recorded, and what an image may take from it."""

from __future__ import annotations

import pytest

from lab.machines import apt

TARGETS = """\
http://mirror.test/debian-security|bookworm-security|main|Debian
http://mirror.test/debian|bookworm-updates|main|Debian
http://mirror.test/debian|bookworm|contrib|Debian
http://mirror.test/debian|bookworm|main|Debian
https://packages.test/tools|bookworm|main|A tools company
http://mirror.test/debian|trixie|main|Debian
"""


def test_debian_of_the_suite_only_base_first() -> None:
    assert apt.parse_targets(TARGETS, "bookworm") == (
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/debian bookworm-updates main",
        "deb http://mirror.test/debian-security bookworm-security main",
    )


@pytest.mark.parametrize("origin", ["", "$(ORIGIN)"])
def test_an_archive_never_updated_counts_by_its_path(origin: str) -> None:
    text = f"http://mirror.test/debian/|bookworm|main|{origin}\nhttp://mirror.test/tools|bookworm|main|{origin}\n"
    assert apt.parse_targets(text, "bookworm") == ("deb http://mirror.test/debian/ bookworm main",)


def test_security_alone_is_no_debian() -> None:
    assert apt.parse_targets("http://mirror.test/debian-security|bookworm-security|main|Debian", "bookworm") == ()


def test_settings_that_reach_a_mirror_are_kept_and_no_others() -> None:
    dump = [
        'APT::Architecture "amd64";',
        'Acquire::http "";',
        'Acquire::http::Proxy "http://proxy.test:3128/";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages:: "de";',
        'DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";',
    ]
    assert apt.choose_settings(dump) == [dump[2], dump[3]]


def test_credentials_of_a_mirror_are_never_shown() -> None:
    shown = apt.shown(("deb https://canary:s3cret@mirror.test/debian bookworm main",))
    assert shown == "deb https://mirror.test/debian bookworm main"
