#!/usr/bin/python3
"""Is this a lab machine? One JSON document on stdout; exit 0 when every check passes, 1 when one fails.

The only argument: seconds to wait for a systemd that has just been started.

Runs on the machine, whoever made it: standard library only, Python 3.9 syntax, and few modules, since importing them is
most of its time on an emulated processor.
"""

import json
import os
import re
import sys
import time

MIN_KERNEL = (5, 10)
BTF = "/sys/kernel/btf/vmlinux"
TRACING = "/sys/kernel/tracing"
TOOLS = ("bpftool", "bpftrace", "clang", "llvm-strip", "make", "curl", "ip", "systemd-run", "sysctl")
MOUNTS = {
    "/sys/fs/bpf": "bpf",
    "/sys/fs/cgroup": "cgroup2",
    "/sys/kernel/debug": "debugfs",
    "/sys/kernel/security": "securityfs",
    "/sys/kernel/tracing": "tracefs",
}
CONTROLLERS = ("cpu", "memory")
MANAGER = "/run/systemd/private"
POLL_S = 0.05
IMAGE_ID = "/etc/lab/image-id"
# the host, which knows how slow the machine is, says how long
WAIT_S = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0


def read(path):
    """The stripped text of a file, or "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def kernel():
    release = os.uname().release
    found = re.match(r"(\d+)\.(\d+)", release)
    version = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    return version >= MIN_KERNEL, release


def python():
    return sys.version_info >= (3, 9), "{}.{}.{}".format(*sys.version_info)


def btf():
    if os.access(BTF, os.R_OK):
        return True, f"{os.path.getsize(BTF):,} bytes of types"
    return False, f"no {BTF} (CONFIG_DEBUG_INFO_BTF): nothing that needs the kernel's types loads (CO-RE, bpftrace)"


def lockdown():
    modes = read("/sys/kernel/security/lockdown")
    return modes == "" or "[none]" in modes, modes or "the kernel has no lockdown"


def probes():
    """Both kinds of dynamic probe have a control file as soon as tracefs is mounted and the kernel has them."""
    absent = [name for name in ("kprobe_events", "uprobe_events") if not os.path.exists(f"{TRACING}/{name}")]
    if absent:
        names = ", ".join(absent)
        return False, f"absent: {names} (CONFIG_KPROBE_EVENTS, CONFIG_UPROBE_EVENTS): no eBPF form attaches"
    return True, "kprobes and uprobes"


def tracepoints():
    """The two groups that every eBPF tool of ours starts from."""
    absent = [name for name in ("sched", "raw_syscalls") if not os.path.isdir(f"{TRACING}/events/{name}")]
    if absent:
        return False, f"absent: {', '.join(absent)} (CONFIG_FTRACE_SYSCALLS): bpftrace cannot follow them"
    return True, f"{len(os.listdir(TRACING + '/events'))} groups"


def mounts():
    have = {}
    for line in read("/proc/self/mounts").splitlines():
        _, place, kind = line.split(" ")[:3]
        have[place] = kind
    wrong = [f"{place} ({kind})" for place, kind in MOUNTS.items() if have.get(place) != kind]
    return not wrong, "not mounted: " + ", ".join(wrong) if wrong else ", ".join(sorted(MOUNTS.values()))


def controllers():
    have = read("/sys/fs/cgroup/cgroup.controllers").split()
    absent = [name for name in CONTROLLERS if name not in have]
    return not absent, "absent: " + ", ".join(absent) if absent else " ".join(have)


def sysctls():
    """Each value of our own sysctl file is the kernel's present one."""
    differing = []
    for line in read("/etc/sysctl.d/60-lab.conf").splitlines():
        if line.startswith("#") or "=" not in line:
            continue
        name, value = (part.strip() for part in line.split("=", 1))
        now = read("/proc/sys/" + name.replace(".", "/"))
        if now != value:
            differing.append(f"{name} is {now}, not {value}")
    return not differing, "; ".join(differing) or "as in /etc/sysctl.d/60-lab.conf"


def tools():
    path = os.environ.get("PATH", "") + ":/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin"
    places = [place for place in path.split(":") if place]
    absent = [name for name in TOOLS if not any(os.access(f"{place}/{name}", os.X_OK) for place in places)]
    return not absent, "absent: " + ", ".join(absent) if absent else "all present"


def manager():
    """systemd takes orders: forms run in units of its. SSH of a machine of ours may answer a moment earlier."""
    ends = time.monotonic() + WAIT_S
    while not os.path.exists(MANAGER):
        # a golden machine's first process has not become systemd yet
        if read("/proc/1/comm") != "systemd" and not os.path.exists(IMAGE_ID):
            return False, "systemd does not run here"
        if time.monotonic() > ends:
            return False, f"no {MANAGER} after {WAIT_S:.0f} s: systemd takes no orders"
        time.sleep(POLL_S)
    return True, "systemd"


def root():
    return os.geteuid() == 0, f"uid {os.geteuid()}"


CHECKS = (kernel, python, root, btf, lockdown, mounts, probes, tracepoints, controllers, sysctls, tools, manager)


def main():
    results = []
    for check in CHECKS:
        good, message = check()
        results.append({"name": check.__name__, "ok": bool(good), "message": message})
    document = {
        "schema": 1,
        "ok": all(result["ok"] for result in results),
        "image_id": read(IMAGE_ID),
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        "checks": results,
    }
    print(json.dumps(document))
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
