"""The page's routes. The only thing that a page can ask for is an action of the table of keys.

Imported when a page is served, not before: Starlette takes its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lab.stage.page import assets
from lab.stage.page.door import Door
from lab.stage.page.feed import Feed
from lab.stage.stream.keys import Action, number_of
from lab.stage.stream.records import Stage

Answer = Callable[[Request], Awaitable[Response]]
LONGEST: Final = 256  # bytes of what a page posts
HEADERS: Final = {
    "Content-Security-Policy": assets.POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
ASK: Final = "open the address that the speaker's terminal shows"


def app(stage: Stage, feed: Feed, door: Door, refused: Callable[[], object]) -> Starlette:
    """The application for one show. refused: called when a browser of this host was not let in."""
    page = assets.index()
    files = assets.files()

    async def index(_: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    async def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        return Response(found[1], media_type=found[0]) if found else _no("no such file", 404)

    async def enter(request: Request) -> Response:
        made = Response(status_code=204)
        if not door.known(request):
            token = await _body(request)
            if not door.opens(token):
                refused()
                why = "was used already" if token in door.used else "is not this show's"
                return _no(f"this address {why}: {ASK}")
            made.set_cookie(door.name, door.cookie, max_age=86400, httponly=True, samesite="strict")
        return made

    async def events(request: Request) -> Response:
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return StreamingResponse(feed.stream(last), media_type="text/event-stream")

    async def act(request: Request) -> Response:
        asked = _asked((await _body(request)).decode(errors="replace"))
        if asked is None:
            return _no(f"one of {', '.join(get_args(Action))} is expected, or jump with a number", 400)
        stage.act(*asked)
        return Response(status_code=204)

    def guarded(answer: Answer, *, known: bool = False) -> Answer:
        return _guarded(door, answer, refused if known else None)

    async def unknown(request: Request, error: Exception) -> Response:
        """No such address, or not by that method."""
        assert isinstance(error, HTTPException)
        made = _no(error.detail, error.status_code)
        made.headers.update(error.headers or {})

        async def told(_: Request) -> Response:
            return made

        return await guarded(told)(request)

    made = Starlette(
        exception_handlers={HTTPException: unknown},
        routes=[
            Route("/", guarded(index)),
            Route("/enter", guarded(enter), methods=["POST"]),
            Route("/events", guarded(events, known=True)),
            Route("/act", guarded(act, known=True), methods=["POST"]),
            Route("/{name}", guarded(file)),
        ],
    )
    made.router.redirect_slashes = False  # a redirect would go where the request's Host says
    return made


def _asked(posted: str) -> tuple[str, str] | None:
    """An action and its argument; None for what is neither a key's action nor a jump to a beat, counted from 1."""
    action, _, beat = posted.partition(" ")
    if action == "jump" and (number := number_of(beat)) is not None:
        return "jump", str(number - 1)
    return (action, "") if not beat and action in get_args(Action) else None


def _guarded(door: Door, answer: Answer, refused: Callable[[], object] | None) -> Answer:
    """refused: where only a browser that was let in is answered, what to call for another."""

    async def checked(request: Request) -> Response:
        if not door.ours(request):
            made = _no("another site sent it")
        elif refused is not None and not door.known(request):
            refused()
            made = _no(ASK)
        else:
            made = await answer(request)
        made.headers.update(HEADERS)
        return made

    return checked


def _no(why: str, status: int = 403) -> Response:
    return JSONResponse({"error": why}, status_code=status)


async def _body(request: Request) -> bytes:
    """What was posted; nothing when it is longer than anything that the page posts."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            return b""
    return body
