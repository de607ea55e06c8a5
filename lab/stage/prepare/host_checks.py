"""What a show needs of the laptop itself: power, room, quiet, a window for the audience, and nothing that sleeps."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lab.model.errors import LabError
from lab.stage.play import awake, browser
from lab.stage.play.health import BATTERY_LOW, LOAD_HIGH, host_load
from lab.stage.play.health import power as charge
from lab.stage.prepare.points import Point
from lab.system import proc
from lab.system.free_space import free_bytes
from lab.system.wait import Deadline

TOOL_S: Final = 8.0
FREE_LOW: Final = 2 << 30
FREE_NONE: Final = 200 << 20
NEEDED: Final = ("disk",)  # without it not even takes can be played
GIB: Final = 1 << 30
QUIET: Final = {
    "darwin": "turn on a Focus: Control Centre, Do Not Disturb",
    "win32": "turn on Do Not Disturb: Windows key + N, the bell",
    "linux": "turn on “do not disturb”; GNOME: gsettings set org.gnome.desktop.notifications show-banners false",
}
PROFILE: Final = Path("/sys/firmware/acpi/platform_profile")  # of Linux


def looks(home: Path, port: int) -> dict[str, Callable[[], Sequence[Point]]]:
    """By name, each to be called on its own. port: 0 is any free one, which there always is."""
    return {
        "power": lambda: [power()],
        "disk": lambda: [disk(home)],
        "load": lambda: [load()],
        "sleep": lambda: [sleep()],
        "notifications": lambda: [notifications()],
        **({"port": lambda: [page_port(port)]} if port else {}),
        "browser": lambda: [window()],
        "display": lambda: [display()],
    }


def power() -> Point:
    """Mains or battery, and whether the system saves power."""
    if saves_power():
        fix = "turn the low-power mode off: it slows this laptop down"
        return Point.warned("power", "this laptop saves power", fix)
    battery, plugged = charge()
    if battery is None or plugged:
        return Point.good("power", "on mains, or no battery is reported")
    text = f"on battery, {battery * 100:.0f} % left"
    return Point.warned(
        "power", text, "plug it in" if battery < 2 * BATTERY_LOW else "plug it in: figures differ on battery"
    )


def saves_power() -> bool:
    """Whether the system is set to save power; False where it does not tell."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return PROFILE.read_text(encoding="ascii").strip() == "low-power"
    return bool(re.search(r"^\s*lowpowermode\s+1", _said("pmset", "-g"), re.MULTILINE))  # of macOS


def disk(home: Path) -> Point:
    free = free_bytes(home)
    text, fix = f"{free / GIB:.1f} GiB free in {home}", "lab cache prune"
    if free < FREE_NONE:
        return Point.failed("disk", text, fix, "host")
    return Point.warned("disk", text, fix) if free < FREE_LOW else Point.good("disk", text)


def load() -> Point:
    now = host_load()
    text = f"{now:.1f} runnable processes per CPU"
    return Point.warned("load", text, "end what runs beside the show") if now > LOAD_HIGH else Point.good("load", text)


def sleep() -> Point:
    """Whether something will hold sleep back."""
    if sys.platform == "win32" or awake.command() is not None:
        return Point.good("sleep", "held back while the show is on")
    return Point.warned("sleep", "no program here holds sleep back", "turn sleep and the screen lock off")


def notifications() -> Point:
    """No system lets a program that is not a desktop's own hold them back for as long as it runs: it is left to do."""
    fix = QUIET.get(sys.platform, "turn on “do not disturb”")
    return Point.warned("notifications", "they are not held back: one may cover the page", fix)


def page_port(port: int) -> Point:
    """Whether the audience page can be served."""
    try:
        with socket.create_server(("127.0.0.1", port)) as server:
            return Point.good("port", f"port {server.getsockname()[1]} of this host's loopback is free")
    except OSError as error:
        return Point.failed("port", f"port {port}: {error.strerror}", "give another one, or none: --port 0", "host")


def window() -> Point:
    if browser.there():
        return Point.good("browser", "there is one for the audience page")
    return Point.warned("browser", "none here opens a window", "open the page's address elsewhere on this host")


def display() -> Point:
    """Mirrored or extended, where the system tells."""
    shown = mirrored()
    if shown is None:
        return Point.good("display", "this system does not tell whether displays are mirrored")
    if shown:
        return Point.warned("display", "displays are mirrored: the audience sees your notes", "--single-screen")
    return Point.good("display", "displays are not mirrored")


def mirrored() -> bool | None:
    """None: not known."""
    if sys.platform == "darwin":
        try:
            displays = json.loads(_said("system_profiler", "-json", "SPDisplaysDataType") or "{}")
        except ValueError:
            return None
        cards = displays.get("SPDisplaysDataType", [])
        screens = [screen for card in cards for screen in card.get("spdisplays_ndrvs", [])]
        return any(screen.get("spdisplays_mirror") == "spdisplays_on" for screen in screens) if screens else None
    if sys.platform == "linux" and os.environ.get("DISPLAY"):
        places = re.findall(r" connected .*?\d+x\d+(\+\d+\+\d+)", _said("xrandr", "--query"))
        return len(set(places)) < len(places) if places else None
    return None


def _said(*argv: str) -> str:
    """What a tool prints; "" without it."""
    if proc.which(argv[0]) is None:
        return ""
    try:
        return proc.run(argv, deadline=Deadline.after(TOOL_S)).text()
    except LabError:
        return ""
