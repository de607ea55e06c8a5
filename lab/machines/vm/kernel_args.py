"""The kernel command line of a golden image, the same for every provider."""

from __future__ import annotations

from typing import Final

from lab.model.machine import Arch

CONSOLES: Final[dict[Arch, str]] = {"x86_64": "console=ttyS0,115200", "aarch64": "console=ttyAMA0,115200"}
# Disables what a short-lived test machine on a slow processor does not need. Security features are a property of the
# kernel under test and keep its defaults, except CPU mitigations, which emulation makes costly.
# cgroup.memory: kernel memory and sockets are not accounted (nothing here reads that), so that systemd's first groups
# do not switch 39 places (static keys) of the allocators and the network while every CPU runs them (ADR 10).
COMMON: Final = (
    "root=/dev/vda rw quiet loglevel=3 net.ifnames=0 mitigations=off audit=0 apparmor=0 selinux=0 nokaslr panic=-1"
    " systemd.show_status=0 cryptomgr.notests raid=noautodetect no_hash_pointers init_on_alloc=0"
    " rcupdate.rcu_expedited=1 random.trust_cpu=on iommu=off nowatchdog cgroup.memory=nokmem,nosocket"
)
OWN: Final[dict[Arch, str]] = {
    "x86_64": "tsc=reliable no_timer_check 8250.nr_uarts=1 i8042.noaux i8042.nokbd",
    "aarch64": "",
}


# Two runs of one program must execute the same instructions, so addresses are not randomised.
SAME_ADDRESSES: Final = "norandmaps"


def kernel_args(arch: Arch, *, counted: bool = False) -> str:
    """The kernel's command line on such a machine."""
    words = [CONSOLES[arch], COMMON, OWN[arch], SAME_ADDRESSES if counted else ""]
    return " ".join(filter(None, words))
