"""API v2: entries that cannot be read, or not with their page; each is published once, and none ends the producer."""

import asyncio

import pytest
from dicomcast_producer.position import Idle, Page
from dicomcast_runtime.errors import ConfigurationError

from tests.fakes.timed_feed import TimedFeed
from tests.unit.producer.timed import POLL_S, drain, poll, reader_of, stored

NO_UID = {"sopInstanceUid": None}
NO_TIME = {"timestamp": "yesterday"}


@pytest.mark.parametrize("unreadable", [NO_UID, NO_TIME])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_unreadable_entry_is_published_once(unreadable: dict[str, object], restarts: bool) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 60)
        found = await drain(reader)
        feed.pass_s(60)
        feed.put(2, 30, **unreadable)
        feed.put(3, 20)
        found += await drain(reader)
        if restarts:
            reader = reader_of(feed, stored(reader.position))
        found += await poll(feed, reader, for_s=400)
        feed.put(4, 20)
        return found + await poll(feed, reader, for_s=400)

    assert asyncio.run(story()) == [1, 2, 3, 4]


@pytest.mark.parametrize("unreadable", [NO_UID, NO_TIME])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_unreadable_newest_entry_ends_nothing(unreadable: dict[str, object], restarts: bool) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 1000)
        found = await drain(reader)
        feed.pass_s(60)
        feed.put(2, 20, **unreadable)
        found += await drain(reader)
        if restarts:
            reader = reader_of(feed, stored(reader.position))
        found += await poll(feed, reader, for_s=400)
        feed.put(3, 20)
        return found + await poll(feed, reader, for_s=400)

    assert asyncio.run(story()) == [1, 2, 3]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_feed_that_begins_with_an_unreadable_entry(restarts: bool) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 20, **NO_UID)
        found = await drain(reader)
        if restarts:
            reader = reader_of(feed, stored(reader.position))
        found += await drain(reader)
        feed.pass_s(60)
        feed.put(2, 20)
        return found + await poll(feed, reader, for_s=400)

    assert asyncio.run(story()) == [1, 2]


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_pages_of_unreadable_entries_come_to_an_end(page_size: int) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        for sequence in range(1, 9):
            feed.put(sequence, 100 - sequence, **({} if sequence in (4, 8) else NO_UID))
        reader = reader_of(feed, page_size=page_size)
        return await drain(reader) + await drain(reader)

    assert asyncio.run(story()) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_unreadable_newest_entry_is_not_taken_for_read_before_it_is() -> None:
    """Else `--exit-when-idle` would end without it."""

    async def story() -> list[bool | int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 60)
        feed.put(2, 5, **NO_UID)  # within the lag
        found: list[bool | int] = []
        for _ in range(4):
            page = await reader.next_page()
            found += [page.drained] if isinstance(page, Idle) else [e.event.sequence for e in page.entries]
            feed.pass_s(POLL_S)
        return found

    assert asyncio.run(story()) == [1, False, 2, True]


def test_a_start_at_an_unreadable_entry_is_refused() -> None:
    """Its place in time is not known: what stands before it would be published again."""
    feed = TimedFeed()
    feed.put(1, 60)
    feed.put(2, 50, **NO_TIME)
    with pytest.raises(ConfigurationError, match="sequence 2 has no time that can be read"):
        asyncio.run(reader_of(feed).start_position("2"))


def test_a_page_goes_on_from_its_last_readable_entry() -> None:
    """Not from 1970, and not by counting rows from the beginning, which late ones would shift."""

    async def story() -> None:
        feed = TimedFeed()
        feed.put(1, 60)
        feed.put(2, 50, **NO_UID)
        feed.put(3, 40)
        reader = reader_of(feed, page_size=2)
        page = await reader.next_page()
        assert isinstance(page, Page)
        assert await drain(reader) == [3]
        assert (feed.asked[1].start, feed.asked[1].offset) == (page.entries[0].event.timestamp, 0)

    asyncio.run(story())


@pytest.mark.parametrize("request_number", range(1, 12))
def test_a_row_that_appears_while_a_page_is_taken_apart_doubles_none(request_number: int) -> None:
    """The halves are counted by rows: the second then begins with the last of the first."""

    async def story() -> tuple[list[int], list[int]]:
        feed = TimedFeed()
        for sequence in range(1, 13):
            feed.put(sequence, 60 - sequence)
        feed.broken = 3
        reader = reader_of(feed, page_size=8)

        def late(_: object) -> None:
            if len(feed.asked) == request_number:
                feed.put(99, 100)

        feed.before_page = late
        return await drain(reader), await drain(reader)

    first, later = asyncio.run(story())
    assert [s for s in first if s != 99] == list(range(1, 13))
    assert [*first, *later].count(99) == 1
