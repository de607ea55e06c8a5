"""The page's server: who is let in, what leaves, and that a page that comes back misses nothing."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import pytest

from lab.model.errors import LabError
from lab.stage.page.public import HOME, public, written
from lab.stage.page.server import Page
from lab.stage.page.slides import tree
from lab.stage.stream.events import PRIVATE, BeatEnded, Cause, Line, Notes, RequestDone, Woven
from lab.stage.stream.keys import KEYS
from lab.stage.stream.records import StageRecord
from tests.fakes.recorded_show import records


class Show:
    """A stage of records that a test adds."""

    def __init__(self, some: list[StageRecord]) -> None:
        self.records = some
        self.sinks: list[Callable[[StageRecord], None]] = []
        self.acts: list[str] = []

    def subscribe(self, sink: Callable[[StageRecord], None]) -> Callable[[], None]:
        for record in self.records:
            sink(record)
        self.sinks.append(sink)
        return lambda: self.sinks.remove(sink)

    def act(self, action: str, argument: str = "") -> None:
        self.acts.append(f"{action} {argument}".strip())

    def add(self, record: StageRecord) -> None:
        self.records.append(record)
        for sink in self.sinks:
            sink(record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request got."""

    status: int
    headers: Message
    text: str


class Visitor:
    """A browser as the server sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = f"127.0.0.1:{page.port}"
        self.own = {"Origin": f"http://{self.host}"}

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        with self.asking(method, path, body, **headers) as answer:
            text = "" if path == "/events" and answer.status == 200 else answer.read().decode()
            return Answer(status=answer.status, headers=answer.headers, text=text)

    @contextmanager
    def asking(self, method: str, path: str, body: str = "", **headers: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.page.port, timeout=10)
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body.encode(errors="surrogateescape"), headers=told)
        with closing(connection), connection.getresponse() as answer:
            yield answer

    def enter(self) -> str:
        """The cookie that the token gets."""
        answer = self.ask("POST", "/enter", self.page.address.partition("#")[2], **self.own)
        assert answer.status == 204
        return str(answer.headers["Set-Cookie"])

    def events(self, cookie: str, count: int, after: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The next so many events after one that was seen: each with its id."""
        found: list[tuple[str, dict[str, Any]]] = []
        name = ""
        with self.asking("GET", "/events", Cookie=cookie, Last_Event_ID=after) as answer:
            assert answer.status == 200, answer.read()
            while len(found) < count:
                line = answer.readline().decode().rstrip("\n")
                if line.startswith("id: "):
                    name = line[4:]
                if line.startswith("data: ") and name:
                    found.append((name, json.loads(line[6:])))
        return found


@pytest.fixture
def show() -> Show:
    return Show(records())


@pytest.fixture
def page(show: Show) -> Iterator[Page]:
    page = Page(show)
    page.start()
    yield page
    page.stop()
    assert show.sinks == []


def test_the_token_opens_one_page_and_the_cookie_stays(page: Page) -> None:
    visitor = Visitor(page)
    assert visitor.ask("GET", "/events").status == 403
    used = page.address
    cookie = visitor.enter()
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert page.address != used
    again = visitor.ask("POST", "/enter", used.partition("#")[2], **visitor.own)
    assert again.status == 403
    assert "was used already" in again.text
    for wrong in ("wrong", "", "\udcff", "x" * 999):
        answer = visitor.ask("POST", "/enter", wrong, **visitor.own)
        assert answer.status == 403
        assert "is not this show's" in answer.text
        assert "used" not in answer.text
    assert visitor.ask("POST", "/enter", "", Cookie=cookie, **visitor.own).status == 204
    assert len(visitor.events(cookie, 3)) == 3


def test_nothing_private_leaves(page: Page, show: Show) -> None:
    told = [public(record) for record in show.records]
    kept = [doc for doc in told if doc is not None]
    assert len(kept) == sum(not isinstance(record.event, PRIVATE) for record in show.records)
    visitor = Visitor(page)
    sent = visitor.events(visitor.enter(), len(kept))
    assert [doc for _, doc in sent] == json.loads(json.dumps(kept))
    assert "SECRET" not in json.dumps(sent)
    assert any(isinstance(record.event, Cause) for record in show.records)
    assert "steal 14" not in json.dumps(sent), "the evidence of a cause is the speaker's"


def test_a_page_that_comes_back_goes_on_where_it_was(page: Page, show: Show) -> None:
    visitor = Visitor(page)
    cookie = visitor.enter()
    seen = visitor.events(cookie, 40)
    more = visitor.events(cookie, 5, after=seen[29][0])
    assert more == seen[30:35]
    show.add(StageRecord(seq=len(show.records) + 1, at_s=99.0, event=Line(at_ms=1.0, text="late")))
    last = visitor.events(cookie, 1, after=f"{seen[0][0].partition('-')[0]}-{len(show.records) - 1}")
    assert last[0][1]["data"]["text"] == "late"


def test_an_event_that_no_show_has_starts_over(page: Page) -> None:
    visitor = Visitor(page)
    cookie = visitor.enter()
    first, second = visitor.events(cookie, 2)
    name = first[0].partition("-")[0]
    for after in ("9" * 5000, "-5", "five", ""):
        assert visitor.events(cookie, 2, after=f"{name}-{after}") == [first, second]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/a/b", 404),
        ("GET", "/none.js", 404),
        ("GET", "/main.js/", 404),
        ("POST", "/", 405),
        ("PUT", "/act", 405),
    ],
)
def test_what_is_refused_is_guarded_as_the_rest(page: Page, method: str, path: str, status: int) -> None:
    visitor = Visitor(page)
    answer = visitor.ask(method, path, **visitor.own)
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "error" in json.loads(answer.text)
    assert (answer.headers["Allow"] is not None) == (status == 405)
    assert visitor.ask(method, path, Host="example.org", Origin="http://example.org").status == 403


def test_a_page_of_an_earlier_server_starts_over_and_keeps_its_cookie(page: Page, show: Show) -> None:
    visitor = Visitor(page)
    cookie = visitor.enter()
    name = visitor.events(cookie, 40)[-1][0]
    page.stop()
    again = Page(show, port=page.port, cookie=page.cookie)
    again.start()
    try:
        assert Visitor(again).events(cookie, 1, after=name)[0][1]["event"] == "ShowStarted"
    finally:
        again.stop()


def test_a_page_can_ask_for_the_actions_of_the_keys_alone(page: Page, show: Show) -> None:
    visitor = Visitor(page)
    cookie = visitor.enter()
    assert visitor.ask("POST", "/act", "next").status == 403
    for action in dict.fromkeys(KEYS.values()):
        assert visitor.ask("POST", "/act", action, Cookie=cookie, **visitor.own).status == 204
    for other in ("jump", "jump x", "next 3", "rm -rf /", "", "next\n", "n" * 9999, "\udcff"):
        answer = visitor.ask("POST", "/act", other, Cookie=cookie, **visitor.own)
        assert answer.status == 400
    assert visitor.ask("POST", "/act", "jump 3", Cookie=cookie, **visitor.own).status == 204
    assert show.acts == [*dict.fromkeys(KEYS.values()), "jump 2"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {},
        {"Host": "example.org", "Origin": "http://example.org"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_another_site_can_do_nothing_even_with_the_cookie(page: Page, show: Show, headers: dict[str, str]) -> None:
    visitor = Visitor(page)
    cookie = visitor.enter()
    own = visitor.own if "Sec_Fetch_Site" in headers else {}
    assert visitor.ask("POST", "/act", "next", Cookie=cookie, **own, **headers).status == 403
    if headers:
        assert visitor.ask("GET", "/events", Cookie=cookie, **headers).status == 403
    assert show.acts == []


def test_the_page_loads_its_own_files_only(page: Page) -> None:
    visitor = Visitor(page)
    answer = visitor.ask("GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    body = answer.text
    assert '"PageDown":"next"' in body
    for name in ("main.js", "stage.css"):
        assert name in body
        assert visitor.ask("GET", f"/{name}").status == 200
    assert visitor.ask("GET", "/../server.py").status == 404
    assert visitor.ask("GET", "/server.py").status == 404


def test_a_port_that_is_taken_is_refused_with_its_reason(page: Page, show: Show) -> None:
    with pytest.raises(LabError, match=f"127.0.0.1:{page.port}: another program listens there") as caught:
        Page(show, port=page.port)
    assert "--port" in caught.value.fix


def test_a_slide_has_no_markup_of_its_author() -> None:
    nodes = tree("# <b>Hi</b>\n\n<script>x()</script>\n\n![a cat](x.png) [here](https://example.org) `a<b`")
    text = json.dumps(nodes)
    assert nodes[0] == {"t": "h1", "c": ["<b>", "Hi", "</b>"]} or nodes[0] == {"t": "h1", "c": ["<b>Hi</b>"]}
    assert "example.org" not in text
    assert "x.png" not in text
    assert "a cat" in text


def test_what_is_written_ends_no_line_and_no_script() -> None:
    text = written({"text": "</script>\n\r\u2028<!--"})
    assert not set("<\n\r\u2028") & set(text)
    assert json.loads(text) == {"text": "</script>\n\r\u2028<!--"}


def test_other_commands_load_no_server_and_no_terminal() -> None:
    code = "import sys, lab.stage.page.server, lab.cli; print(*{'starlette', 'uvicorn', 'textual'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_notes_are_private() -> None:
    assert public(StageRecord(seq=1, at_s=0.0, event=Notes(beat=0, text="x"))) is None


def test_what_failed_and_whose_laptop_it_is_stay_with_the_speaker() -> None:
    ended = BeatEnded(beat=0, outcome="failed", seconds=1.0, reason="ssh user@host: Permission denied")
    done = RequestDone(at_ms=0.0, form="ebpf", number=0, wanted=1, seen=0, reason="cannot read /x")
    woven = Woven(at_ms=0.0, form="a", file=f"{HOME}/demo/main.go", diff=f"--- {HOME}/main.go", added=1, files=1)
    told = [public(StageRecord(seq=1, at_s=0.0, event=event)) for event in (ended, done, woven)]
    assert [one["data"].get("reason", "") for one in told if one] == ["", "", ""]
    assert HOME not in json.dumps(told)
    assert "~/demo/main.go" in json.dumps(told)
