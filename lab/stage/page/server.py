"""The server of the audience page, in a thread of its own."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Final

from lab.model.errors import PreconditionError
from lab.stage.page.door import Door
from lab.stage.page.feed import Feed
from lab.stage.stream.records import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

HOST: Final = "127.0.0.1"
STARTS_S: Final = 10.0


class Page:
    """One show's page. `cookie` of an earlier server lets its open pages go on with this one; `refused` is called when
    a browser of this host was not let in, as each is that has neither the cookie nor the address of now."""

    def __init__(
        self, stage: Stage, *, port: int = 0, cookie: str = "", refused: Callable[[], object] = lambda: None
    ) -> None:
        self._stage = stage
        self._refused = refused
        self._listener = _listen(port)
        self.port: Final[int] = self._listener.getsockname()[1]
        self._feed = Feed()
        self._door = Door(
            hosts=frozenset({f"{HOST}:{self.port}", f"localhost:{self.port}"}),
            cookie=cookie or secrets.token_urlsafe(),
        )
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._leave: Callable[[], None] | None = None

    @property
    def address(self) -> str:
        """What opens the page once. It changes when it was used, so that a second browser can be opened too."""
        return f"http://{HOST}:{self.port}/#{self._door.once}"

    @property
    def cookie(self) -> str:
        return self._door.cookie

    @property
    def views(self) -> int:
        """How many browsers show it now."""
        return self._feed.views

    def start(self) -> None:
        """Serve until `stop`. Raises PreconditionError when the server does not come up."""
        import uvicorn

        from lab.stage.page.app import app

        config = uvicorn.Config(
            app(self._stage, self._feed, self._door, self._refused),
            log_config=None, access_log=False, lifespan="off", loop="asyncio", http="h11", ws="none",
            server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="page", daemon=True
        )
        self._thread.start()
        self._leave = self._stage.subscribe(self._feed.add)

    def stop(self) -> None:
        """End every stream and free the port. A second call does nothing."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        self._feed.close()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=STARTS_S)
        self._listener.close()


def _listen(port: int) -> socket.socket:
    """A socket on loopback. Raises PreconditionError when the port is taken or not allowed."""
    try:
        return socket.create_server((HOST, port), backlog=64)
    except OSError as error:
        taken = error.errno in {errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise PreconditionError(
            f"the audience page cannot be served on {HOST}:{port}: {reason}",
            fix="--port 0 takes a free one" if taken else "see the reason above",
        ) from None
