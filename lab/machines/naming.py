"""The machine to use when no name is given. Each provider has its own default machine, so that they exist side by
side: `lab` for qemu, `lab-PROVIDER` for the others.
"""

from __future__ import annotations

from lab.machines import presence, state
from lab.machines.providers import PROVIDERS
from lab.model.errors import UsageError
from lab.model.lab import Lab
from lab.model.machine import default_name


def wanted(lab: Lab) -> str:
    """For a command that creates a machine: the default machine of its provider.

    A machine `lab` of that provider stays its default: before 0.1.0 every provider's had that name.
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
    """For a command that uses a machine: that of the configured provider, else the only default machine that exists.

    Raises UsageError when several others exist.
    """
    mine, existing = wanted(lab), defaults(lab)
    if mine in existing or not existing:
        return mine
    if len(existing) > 1:
        raise UsageError(f"several machines exist: {', '.join(existing)}", fix=f"choose one: --name {existing[0]}")
    return existing[0]


def defaults(lab: Lab) -> list[str]:
    """Every default machine of this home: those created without a name, which `lab down` removes."""
    known = {default_name("qemu"), *(f"{default_name('qemu')}-{provider}" for provider in PROVIDERS)}
    return [name for name in presence.names(lab) if name in known]
