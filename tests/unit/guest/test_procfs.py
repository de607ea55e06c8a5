"""Parsers against what a real kernel (6.18, cgroup v1 and v2 side by side, lockdown integrity) printed."""

from __future__ import annotations

import os
import time

import pytest

from lab.guest.linux import procfs
from tests.unit.guest.spans import RECORDED


def text(name: str) -> str:
    return (RECORDED / name).read_text()


def test_system_times() -> None:
    fields = [int(v) for v in text("stat").splitlines()[0].split()[1:]]
    found = procfs.parse_stat(text("stat"), tick_s=0.01)
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    assert found.busy_s == pytest.approx((user + nice + system + irq + softirq) / 100)
    assert found.steal_s == pytest.approx(steal / 100)
    assert found.irq_s == pytest.approx((irq + softirq) / 100)


def test_pid_stat_whatever_the_name_holds() -> None:
    user_s, system_s, ticks, state = procfs.parse_pid_stat(text("pid-stat"), tick_s=0.01)
    assert (user_s, system_s, ticks, state) == (0.0, 0.0, 370612, "R")
    nasty = text("pid-stat").replace("(cat)", "(a) S 1 (b)")
    assert procfs.parse_pid_stat(nasty, tick_s=0.01)[2:] == (370612, "R")


def test_memory_and_cgroups() -> None:
    now, peak = procfs.parse_status_mib(text("pid-status"))
    assert 0.5 < now <= peak < 10
    assert procfs.parse_status_mib("Name:\tkthreadd\n") == (0.0, 0.0)
    assert procfs.parse_cpu_stat(text("cgroup2-cpu.stat")) == (3720.786903, 982.223297)
    told = text("cpuacct.usage_user"), text("cpuacct.usage_sys")
    user_s, system_s = procfs.parse_cpuacct(str(2 * sum(int(each) for each in told)), *told)
    assert user_s > system_s > 200
    assert user_s == pytest.approx(2e-9 * int(told[0]))
    assert procfs.parse_cpuacct("300000000", "0", "0") == (0.3, 0.0)
    assert procfs.parse_own_cgroup(text("self-cgroup"), "cpuacct") == "/"
    assert procfs.parse_own_cgroup(text("self-cgroup"), "memory") == "/user.slice"
    assert procfs.parse_own_cgroup(text("self-cgroup"), "") == "/"
    assert procfs.parse_own_cgroup(text("self-cgroup"), "hugetlb") is None


def test_a_group_that_a_quota_holds_back() -> None:
    v2 = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 7\nnr_throttled 3\nthrottled_usec 1500000\n"
    v1 = "nr_periods 7\nnr_throttled 3\nthrottled_time 1500000000\n"
    assert procfs.parse_throttled(v2) == procfs.parse_throttled(v1) == 1.5
    assert procfs.parse_throttled(text("cgroup2-cpu.stat")) is None
    assert procfs.parse_throttled("") is None


def test_the_wait_for_a_cpu() -> None:
    assert procfs.parse_schedstat("894337 1500000000 5\n") == 1.5
    assert procfs.parse_schedstat("") == 0.0
    assert procfs.waited_s(os.getpid()) >= 0.0
    assert procfs.waited_s(2**22 + 1) == 0.0


def test_pressure_lockdown_mounts() -> None:
    total = int(text("pressure-cpu").split("total=")[1].split()[0])
    assert procfs.parse_pressure(text("pressure-cpu")) == total / 1e6
    assert procfs.parse_lockdown(text("lockdown")) == "integrity"
    assert procfs.parse_lockdown("") == "unknown"
    kinds = {(row[1], row[2]) for row in procfs.parse_mounts(text("mounts"))}
    assert ("/sys/fs/cgroup/unified", "cgroup2") in kinds
    assert ("/sys/fs/bpf", "bpf") in kinds


def test_bpf_program_run_time() -> None:
    program = "pos:\t0\nprog_type:\t2\nprog_jited:\t1\nrun_time_ns:\t1500000\nrun_cnt:\t12\n"
    assert procfs.parse_fdinfo_runs(program) == (0.0015, 12)
    assert procfs.parse_fdinfo_runs("pos:\t0\nmap_type:\t1\n") is None


def test_context_switches() -> None:
    status = "Name:\tlab\nThreads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n"
    assert procfs.parse_switches(status) == (150, 545)
    assert procfs.parse_switches("") == (0, 0)
    before = procfs.switches(os.getpid())[0]
    for _ in range(5):
        time.sleep(0.001)
    assert procfs.switches(os.getpid())[0] >= before + 5
    assert procfs.switches(2**22 + 1) == (0, 0)


def test_a_pid_alone_is_never_trusted() -> None:
    ticks = procfs.start_ticks(os.getpid())
    assert ticks is not None
    assert procfs.alive(os.getpid(), ticks, procfs.boot_id())
    assert not procfs.alive(os.getpid(), ticks + 1, procfs.boot_id())
    assert not procfs.alive(os.getpid(), ticks, "another boot")
