"""Names of the disks of a machine, by which both sides find them."""

from __future__ import annotations

from typing import Final

ROOT_SERIAL: Final = "lab-root"  # the virtio serial by which init finds the root disk (playbooks/init/disks.go)
MODULES_SERIAL: Final = "lab-modules"  # and the modules of a kernel that is not the image's (playbooks/init/modules.go)
