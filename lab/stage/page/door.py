"""Who may use the page.

A one-time token opens the first page and is then void; what stays is a cookie that scripts cannot read and that no
other site's page makes the browser send. Other servers on loopback count as the same site: for them, Host and Origin
are compared as well.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(slots=True)
class Door:
    """Who is let in: `once` opens one page and changes then; `cookie` is what that page shows from then on."""

    hosts: frozenset[str]
    cookie: str
    once: str = field(default_factory=secrets.token_urlsafe)
    used: set[bytes] = field(default_factory=set)  # what `once` was before

    @property
    def name(self) -> str:
        """The cookie's name; browsers share cookies between the ports of a host."""
        return "lab-" + next(iter(self.hosts)).rpartition(":")[2]

    def ours(self, request: Request) -> bool:
        """The request names this server, and comes from a page of this server or from the address bar."""
        headers = request.headers
        host = headers.get("host", "")
        site = headers.get("sec-fetch-site", "same-origin")
        if host not in self.hosts or site not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin")
        return origin == f"http://{host}" if origin is not None else request.method == "GET"

    def known(self, request: Request) -> bool:
        return secrets.compare_digest(request.cookies.get(self.name, "").encode(), self.cookie.encode())

    def opens(self, token: bytes) -> bool:
        """Whether this is the token; it is void from then on."""
        if not secrets.compare_digest(token, self.once.encode()):
            return False
        self.used.add(token)
        self.once = secrets.token_urlsafe()
        return True
