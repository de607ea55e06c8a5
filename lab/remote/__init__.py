"""Connections to a machine: one interface (`base.Transport`), over SSH or on this host."""

from __future__ import annotations

import socket

from lab.model.errors import ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Endpoint, LocalEndpoint, SshEndpoint
from lab.remote.base import Transport
from lab.system.wait import Deadline


def connect(lab: Lab, endpoint: Endpoint, deadline: Deadline) -> Transport:
    """Open a connection to `endpoint`; a context manager that closes it.

    Raises ProvisioningError (not reachable, key refused) and SecurityStop (another host key than the pinned one).
    The SSH library is imported only here, since that takes half a second on a slow host. Meanwhile the server
    accepts the connection, which takes an emulated machine a quarter of a second.
    """
    if isinstance(endpoint, LocalEndpoint):
        from lab.remote.localhost import LocalTransport

        return LocalTransport(lab)
    try:
        sock = socket.create_connection((endpoint.host, endpoint.port), deadline.left_s())
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid DNS name
        raise unreachable(endpoint, error) from error
    from lab.remote.ssh import SshTransport

    return SshTransport(lab, endpoint, sock, deadline)


def unreachable(endpoint: SshEndpoint, error: Exception) -> ProvisioningError:
    """The error for a failed SSH connection, with the reason in `error`."""
    reason = str(error) or type(error).__name__
    return ProvisioningError(f"cannot connect to {endpoint.host}:{endpoint.port} by SSH: {reason}", fix="lab logs")
