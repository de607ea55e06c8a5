"""How anything above talks to a machine: one protocol (`base.Transport`), over SSH or on this very Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.model.lab import Lab
from lab.model.machine import Endpoint, LocalEndpoint
from lab.system.wait import Deadline

if TYPE_CHECKING:
    from lab.remote.localhost import LocalTransport
    from lab.remote.ssh import SshTransport


def connect(lab: Lab, endpoint: Endpoint, deadline: Deadline) -> SshTransport | LocalTransport:
    """Open a connection to `endpoint`; a context manager that closes it.

    Raises ProvisioningError (not reachable, key refused) and SecurityStop (another host key than the pinned one).
    The SSH library is imported here and not before: it costs half a second on a slow host.
    """
    if isinstance(endpoint, LocalEndpoint):
        from lab.remote.localhost import LocalTransport

        return LocalTransport(lab)
    from lab.remote import ssh

    return ssh.connect(lab, endpoint, deadline)
