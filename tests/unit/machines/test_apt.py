"""What this machine's apt says, recorded, and what an image may take from it."""

from __future__ import annotations

from lab.machines.images import apt

TARGETS = """\
http://mirror.test/debian-security|bookworm-security|main|Debian
http://mirror.test/debian|bookworm-updates|main|Debian
http://mirror.test/debian|bookworm|contrib|Debian
http://mirror.test/debian|bookworm|main|Debian
https://packages.test/tools|bookworm|main|A tools company
http://mirror.test/debian|trixie|main|Debian
"""

URIS = """\
'http://mirror.test/debian/dists/bookworm/InRelease' mirror.test_debian_dists_bookworm_InRelease 0
'http://mirror.test/debian-security/dists/bookworm-security/main/binary-amd64/Packages.xz' x_Packages 0
'http://mirror.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' x_Packages 0
'http://mirror.test/debian/dists/bookworm/main/binary-all/Packages.xz' x_Packages 0
'http://mirror.test/debian/dists/bookworm/main/dep11/Components-amd64.yml.xz' x_dep11 0
'https://packages.test/tools/dists/bookworm/main/binary-amd64/Packages.xz' x_Packages 0
"""


def test_debian_of_the_suite_only_base_first() -> None:
    assert apt.choose_sources(apt.parse_targets(TARGETS), "bookworm") == (
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/debian bookworm-updates main",
        "deb http://mirror.test/debian-security bookworm-security main",
    )


def test_a_mirror_under_any_path_counts_when_it_says_what_it_is() -> None:
    archives = apt.parse_targets("http://mirror.test/proxy/os|bookworm|main|Debian\n")
    assert apt.choose_sources(archives, "bookworm") == ("deb http://mirror.test/proxy/os bookworm main",)


def test_archives_never_updated_count_by_their_path() -> None:
    assert apt.choose_sources(apt.parse_uris(URIS), "bookworm") == (
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/debian-security bookworm-security main",
    )


def test_another_release_comes_from_the_mirror_that_is_known() -> None:
    archives = [one for one in apt.parse_targets(TARGETS) if one.release != "trixie"]
    assert apt.choose_sources(archives, "bullseye") == ()
    assert apt.choose_sources(apt.of_release(archives, "bullseye"), "bullseye") == (
        "deb http://mirror.test/debian bullseye main",
        "deb http://mirror.test/debian bullseye-updates main",
        "deb http://mirror.test/debian-security bullseye-security main",
    )
    assert apt.choose_sources(apt.of_release(archives, "bullseye"), "bullseye", ("",)) == (
        "deb http://mirror.test/debian bullseye main",
    )


def test_no_release_is_made_up_from_what_is_not_debian() -> None:
    archives = apt.parse_targets(
        "https://packages.test/tools|bookworm|main|A tools company\nhttp://x.test/debian|1.2|main|\n"
    )
    assert apt.of_release(archives, "trixie") == []


def test_security_alone_is_no_debian() -> None:
    archives = apt.parse_targets("http://mirror.test/debian-security|bookworm-security|main|Debian")
    assert apt.choose_sources(archives, "bookworm") == ()


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
