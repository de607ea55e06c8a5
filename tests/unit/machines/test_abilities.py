"""What a provider says that it can do is what it has functions for."""

from __future__ import annotations

import pytest

from lab.machines.providers import PROVIDERS
from lab.machines.providers.base import Disks, Snapshots


@pytest.mark.parametrize("name", PROVIDERS)
def test_features_tell_what_the_module_has(name: str) -> None:
    provider = PROVIDERS[name]
    assert provider.FEATURES.snapshots == isinstance(provider, Snapshots)
    assert provider.FEATURES.disks == isinstance(provider, Disks)
