"""Every figure that a benchmark is held to; smaller is better."""

from __future__ import annotations

from typing import Final

HELP_S: Final = 0.25
STATUS_S: Final = 0.6
UP_S: Final = 12.0
UP_FLOOR_RATIO: Final = 2.5
UP_AGAIN_S: Final = 1.5
EXEC_S: Final = 1.0
WARM_BUILD_S: Final = 2.0
SFTP_RATIO: Final = 1.5
MANY_FILES_S: Final = 2.0
RESENT_MIB: Final = 4.0
OTHER_PROVIDER_RATIO: Final = 0.2  # at least five times faster
OTHER_PROVIDER_OVERHEAD_PERCENT: Final = 5.0
COUNTED_TWIN_PERCENT: Final = 1.0
COUNTED_APART: Final = 1.0  # percentage points between two runs
TERMINAL_KEY_S: Final = 0.1
PAGE_KEY_S: Final = 0.2
FIRST_PAINT_S: Final = 0.5
FRAME_MS: Final = 16.7  # 60 frames a second
HEAP_MIB: Final = 1.0
