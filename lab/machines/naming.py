"""Which machine is meant where nobody named one. Each provider has a default machine of its own, so that they live
side by side: `lab` for qemu, `lab-PROVIDER` for the others.
"""

from __future__ import annotations

from lab.machines import presence, state
from lab.machines.providers import PROVIDERS
from lab.model.errors import UsageError
from lab.model.lab import Lab
from lab.model.machine import default_name


def wanted(lab: Lab) -> str:
    """For a verb that makes a machine: the default machine of its provider.

    A machine `lab` of that provider goes on being its default one: before 0.1.0 every provider's was called so.
    """
    provider = lab.config.machine.provider
    first = default_name("qemu")
    for name in dict.fromkeys((first, default_name(provider), f"{first}-{provider}")):
        found = state.look(lab, name).machine
        if found is not None and found.spec.provider == provider:
            return name
    taken = state.look(lab, default_name(provider))
    return default_name(provider) if taken.machine is None else f"{first}-{provider}"


def there(lab: Lab) -> str:
    """For a verb that uses a machine: that of the configured provider, else the only default machine that is there.

    Raises UsageError where several others are there.
    """
    mine, all_there = wanted(lab), defaults(lab)
    if mine in all_there or not all_there:
        return mine
    if len(all_there) > 1:
        raise UsageError(f"which machine: {', '.join(all_there)}?", fix=f"name it: --name {all_there[0]}")
    return all_there[0]


def defaults(lab: Lab) -> list[str]:
    """Every default machine of this home: those that nobody named, and that `lab down` removes."""
    known = {default_name("qemu"), *(f"{default_name('qemu')}-{provider}" for provider in PROVIDERS)}
    return [name for name in presence.names(lab) if name in known]
