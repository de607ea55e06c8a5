from __future__ import annotations

import subprocess
import sys
import time

import pytest

from lab.guest.linux.accounts import ROLES, open_accounts
from lab.guest.linux.procfs import SystemTimes
from lab.guest.linux.sampler import Sample, window_use

S = 1_000_000_000


def sample(
    at_s: float,
    cpu_s: float,
    *,
    wall_shift_s: float = 0.0,
    rss: float | None = None,
    bpf: tuple[float, int] | None = None,
) -> Sample:
    return Sample(
        wall_ns=int((1000 + at_s + wall_shift_s) * S),
        mono_ns=int((50 + at_s) * S),
        cpu={"service": (cpu_s, cpu_s / 2)},
        system=SystemTimes(busy_s=2 * cpu_s, steal_s=0.1 * at_s, irq_s=0.0),
        psi={"cpu": at_s / 10},
        rss=None if rss is None else {"service": (rss, rss + 1)},
        bpf=bpf,
    )


def test_edges_are_interpolated() -> None:
    samples = [
        sample(0, 0, rss=10, bpf=(0.0, 0)),
        sample(1, 1),
        sample(2, 3, rss=12, bpf=(0.2, 20)),
        sample(3, 3, rss=0, bpf=(0.3, 30)),
    ]
    use = window_use(samples, int(1000.5 * S), int(1002.5 * S), "cgroup2")
    service = use.usage[0]
    assert (service.user_s, service.system_s) == (2.5, 1.25)
    assert (service.rss_mib, service.rss_peak_mib) == (12, 13)
    assert use.window_s == pytest.approx(2.0)
    assert use.system.busy_s == pytest.approx(5.0)
    assert use.psi == {"cpu": pytest.approx(0.2)}
    assert use.bpf_s == pytest.approx(0.2)
    assert use.bpf_runs == pytest.approx(20)
    assert use.clock_step_s == 0


def test_a_clock_step_and_a_pause_are_seen() -> None:
    stepped = [sample(0, 0), sample(0.25, 0), sample(0.5, 0, wall_shift_s=0.3)]
    assert window_use(stepped, 1000 * S, 1001 * S, "proc").clock_step_s == pytest.approx(0.3)
    paused = [sample(0, 0), sample(5, 0)]
    assert window_use(paused, 1000 * S, 1005 * S, "proc").pause_s == pytest.approx(4.75)


@pytest.mark.parametrize("sources", [("cgroup2",), ("cgroup1",), ()])
def test_every_kind_of_account_counts_a_real_child(sources: tuple[str, ...]) -> None:
    accounts = open_accounts("unit-test", delegated=False, systemd=False, sources=sources)
    burn = "import time\nends = time.process_time() + 0.3\nwhile time.process_time() < ends: pass\ninput()"
    enter = accounts.entry("service")
    argv = [sys.executable, "-c", burn]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, preexec_fn=enter)  # noqa: PLW1509 - as the guest half does
    try:
        accounts.started("service", child.pid)
        ends = time.monotonic() + 20
        while sum(accounts.cpu("service")) < 0.3 and time.monotonic() < ends:
            time.sleep(0.02)
        assert 0.3 <= sum(accounts.cpu("service")) < 0.6
        assert all(sum(accounts.cpu(role)) == 0 for role in ROLES if role != "service")
        now, peak = accounts.rss_mib("service")
        assert 1 < now <= peak
    finally:
        child.communicate(b"\n")
        accounts.reaped("service", child.pid, 0.3, 0.0)
        accounts.close()
    assert accounts.root is None or not accounts.root.exists()
