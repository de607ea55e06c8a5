"""The conditions that runs must share to be comparable, each as a text.

Times are compared only on one kind of machine, and of host where that emulates it. Counts of instructions are equal on
every host with the same image, so counted runs are compared across hosts, whatever CPU and memory the machine reports;
counts are never compared with times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.guest.wire import COUNTED
from lab.model.summary import Summary
from lab.verdict.grade import EMULATOR

TERMS: Final = ("requests", "gates", "thresholds")  # compared field by field
UNKNOWN: Final = "unknown"


def conditions(runs: Sequence[Summary]) -> dict[str, list[str]]:
    """Condition -> its value in each run."""
    counted = all(run.clock == COUNTED for run in runs)
    found = {
        "clock": [run.clock for run in runs],
        "schema": [str(run.provenance.schema) for run in runs],
        "scenario": [f"{run.scenario} of {run.provenance.service} {run.provenance.topology}" for run in runs],
        "load": [_load(run) for run in runs],
        "requests per cell": [_sizes(run) for run in runs],
        "arrivals": [run.provenance.arrivals for run in runs],
        "layout": [run.provenance.layout for run in runs],
        "kernel": [run.provenance.machine.kernel for run in runs],
        "lockdown": [run.provenance.machine.lockdown or UNKNOWN for run in runs],
        "Go": [run.provenance.toolchain.get("go", UNKNOWN) for run in runs],
        **{what: _terms(runs, f"{what}.") for what in TERMS},
    }
    if counted:
        image = [run.provenance.image_id for run in runs]
        return {**found, "image": image, "time per instruction": [_instruction(run) for run in runs]}
    found["hardware"] = [hardware(run) for run in runs]
    found["power"] = ["battery" if run.provenance.machine.battery else "mains or unknown" for run in runs]
    if any(run.provenance.acceleration == EMULATOR for run in runs):
        found["host"] = [_host(run) for run in runs]
    return found


def hardware(run: Summary) -> str:
    """All of `MachineFacts.hardware` but the kernel: the noise of a machine and its costs depend on the same."""
    about, machine = run.provenance, run.provenance.machine
    model = machine.cpu_model or "unknown CPU"
    memory = f"{machine.memory_mib} MiB" if machine.memory_mib else "unknown memory"
    under = f"virtualisation {machine.virtualisation or UNKNOWN}"
    return f"{machine.cpus} × {model}, {machine.arch}, {memory}, {under}, {about.provider}/{about.acceleration}"


def _load(run: Summary) -> str:
    rates = " and ".join(f"{rate:g}" for rate in run.provenance.rates_rps)
    mix = ", ".join(f"{part.type} {part.weight:g}" for part in run.provenance.mix)
    return f"{rates} requests/s of {mix}"


def _terms(runs: Sequence[Summary], what: str) -> list[str]:
    """The first of these terms that is not the same in all runs, with its values."""
    of = [run.provenance.terms for run in runs]
    for name in dict.fromkeys(name for terms in of for name in terms if name.startswith(what)):
        values = [terms.get(name, "none") for terms in of]
        if len(set(values)) > 1:
            return [f"{name.removeprefix(what)} {value}" for value in values]
    return ["" for _ in runs]


def _sizes(run: Summary) -> str:
    """What happens once in a cell weighs less per request in a larger one."""
    return " and ".join(f"{size:,}" for size in run.provenance.requests_per_cell) or UNKNOWN


def _instruction(run: Summary) -> str:
    """It decides how many instructions lie between two ticks of the timer."""
    ns = run.provenance.machine.instruction_ns
    return UNKNOWN if ns is None else f"{ns:g} ns"


def _host(run: Summary) -> str:
    host = run.provenance.host
    return f"{host.os or 'unknown system'} {host.release}, {host.arch}"
