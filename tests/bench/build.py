"""What a build costs when everything is built: sources are read and compared, nothing is compiled."""

from __future__ import annotations

import os
import time

from lab import forms
from lab.model.lab import Lab
from lab.model.machine import Arch
from tests.bench import targets
from tests.bench.figure import Figure
from tests.support import ROOT

ARCH: Arch = "aarch64" if os.uname().machine == "aarch64" else "x86_64"


def measure(lab: Lab, runs: int) -> list[Figure]:
    """Every form of the sample service, built before the first sample."""
    every, service = tuple(forms.catalog(ROOT).values()), forms.service(ROOT)
    samples = []
    for _ in range(runs + 1):
        began = time.monotonic()
        forms.build(lab, every, service, arch=ARCH)
        samples.append(time.monotonic() - began)
    name = f"build of {len(every)} forms, nothing to do"
    return [Figure(name=name, samples=tuple(samples[1:]), target=targets.WARM_BUILD_S)]
