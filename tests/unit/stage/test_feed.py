"""What an open page is sent."""

from __future__ import annotations

import asyncio

from lab.stage.page.feed import Feed
from lab.stage.stream.events import ShowEnded
from lab.stage.stream.records import StageRecord


def test_what_comes_right_before_the_end_is_sent() -> None:
    """The record that the show has ended, and the end of the server: a page would wait for the show for ever."""

    async def read(feed: Feed) -> str:
        got = []
        async for text in feed.stream(""):
            got.append(text)
            if len(got) == 1:
                asyncio.get_running_loop().call_soon(end)
        return "".join(got)

    def end() -> None:
        feed.add(StageRecord(seq=1, at_s=1.0, event=ShowEnded(seconds=1.0, outcomes=("passed",))))
        feed.close()

    feed = Feed()
    assert '"ShowEnded"' in asyncio.run(asyncio.wait_for(read(feed), 5))


def test_a_page_that_comes_after_the_end_gets_what_was_shown() -> None:
    feed = Feed()
    feed.add(StageRecord(seq=1, at_s=1.0, event=ShowEnded(seconds=1.0, outcomes=("passed",))))
    feed.close()

    async def read() -> list[str]:
        return [text async for text in feed.stream("")]

    assert len(asyncio.run(asyncio.wait_for(read(), 5))) == 2
