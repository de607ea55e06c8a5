"""The browser of this desktop, for the audience page."""

from __future__ import annotations

import os
import sys
import webbrowser


def there() -> bool:
    """Whether a page would open in a window: a text browser would take the speaker's terminal."""
    if sys.platform not in {"win32", "darwin"} and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def opened(address: str) -> bool:
    """Open a page in a new window; whether there was a browser to do it."""
    try:
        return there() and webbrowser.open(address, new=1)
    except (webbrowser.Error, OSError):
        return False
