"""API v2 and clocks: a server's clock that is wrong, entries that appear late, and what an idle feed costs."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from dicomcast_producer.errors import RetryableError
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.timed_feed import TimedFeed
from tests.unit.producer.timed import POLL_S, drain, poll, reader_of, stored

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("restarts", [False, True])
def test_one_answer_with_a_clock_that_is_ahead_loses_nothing(restarts: bool) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 60)
        found = await drain(reader)
        feed.pass_s(POLL_S)
        feed.wrong_by = HOUR
        found += await drain(reader)
        feed.put(2, 30)
        found += await drain(reader)  # a page that is committed, with its cursor
        feed.wrong_by = timedelta()
        if restarts:
            reader = reader_of(feed, stored(reader.position))
        for sequence in range(3, 9):
            feed.put(sequence, 0)
            found += await poll(feed, reader, for_s=1000)
        return found

    assert asyncio.run(story()) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("start", ["beginning", "now"])
def test_an_empty_feed_whose_clock_is_ahead_loses_nothing(start: str) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        feed.wrong_by = HOUR
        reader = reader_of(feed, await reader_of(feed).start_position(start))
        found = await drain(reader)
        feed.wrong_by = timedelta()
        feed.put(1, 0)
        found += await poll(feed, reader, for_s=100)
        return found

    assert asyncio.run(story()) == [1]


def test_a_start_now_by_a_clock_that_is_ahead_loses_nothing_later() -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        feed.put(1, 60)
        feed.wrong_by = HOUR
        reader = reader_of(feed, stored(await reader_of(feed).start_position("now")))
        feed.wrong_by = timedelta()
        feed.put(2, 0)
        return await poll(feed, reader, for_s=400)

    assert asyncio.run(story()) == [2]


def test_a_clock_far_behind_what_was_read_is_waited_for_and_said() -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 20)
        found = await drain(reader)
        feed.wrong_by = -HOUR
        with pytest.raises(RetryableError, match="clock of the DICOM server has gone back"):
            await reader.next_page()
        feed.wrong_by = timedelta(seconds=-20)
        feed.put(2, 15)
        found += await drain(reader)  # a little: that is read when the time has come
        feed.wrong_by = timedelta()
        return found + await drain(reader)

    assert asyncio.run(story()) == [1, 2]


def test_an_entry_that_appears_late_after_an_idle_time_is_found() -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 20)
        found = await drain(reader) + await poll(feed, reader, for_s=3600)
        feed.put(2, 0)
        found += await poll(feed, reader, for_s=60)
        feed.put(3, 290)
        return found + await poll(feed, reader, for_s=60)

    assert asyncio.run(story()) == [1, 2, 3]


@pytest.mark.parametrize("idle_s", [0, 100, 280])
def test_an_entry_that_appears_late_on_an_idle_feed_is_found(idle_s: float) -> None:
    async def story() -> list[int]:
        feed = TimedFeed()
        reader = reader_of(feed)
        feed.put(1, 10.5)
        found = await drain(reader) + await poll(feed, reader, for_s=idle_s)
        feed.put(2, 300)
        return found + await poll(feed, reader, for_s=60)

    assert asyncio.run(story()) == [1, 2]


def test_an_idle_feed_is_not_looked_through_for_ever() -> None:
    """Once nothing that may still appear late can stand in the overlap, only what is new is asked for."""

    async def story() -> tuple[int, int]:
        feed = TimedFeed()
        for sequence in range(1, 101):
            feed.put(sequence, 120 - sequence)
        reader = reader_of(feed, page_size=10)
        await drain(reader)
        costs = []
        for wait_s in (0, 400):
            await poll(feed, reader, for_s=wait_s)
            feed.asked.clear()
            assert await drain(reader) == []
            costs.append(len(feed.asked))
        return costs[0], costs[1]

    at_first, later = asyncio.run(story())
    assert at_first >= 10
    assert later == 1


@dataclass(frozen=True)
class Turn:
    """What happens between two looks."""

    ages_s: list[tuple[float, bool]]
    """Of its new entries, and whether they can be read."""
    wrong_by_s: float
    overlap_s: float | None
    """With which the producer is restarted; None: it is not."""
    wait_s: float


turns = st.builds(
    Turn,
    ages_s=st.lists(st.tuples(st.integers(0, 60).map(float), st.sampled_from([True, True, False])), max_size=3),
    wrong_by_s=st.sampled_from([0.0, 0.0, 30.0, 3600.0, -30.0, -3600.0]),
    overlap_s=st.sampled_from([None, 60.0, 90.0, 600.0]),
    wait_s=st.sampled_from([0.0, 1.0, 20.0, 200.0]),
)


@given(story=st.lists(turns, max_size=12), page_size=st.integers(1, 4))
def test_what_appears_no_later_than_the_overlap_is_read_once(story: list[Turn], page_size: int) -> None:
    """Whatever the `Date` of some answers is, and with whatever overlap the producer is restarted."""

    async def read() -> tuple[list[int], int]:
        feed, found, last = TimedFeed(), list[int](), 0
        reader = reader_of(feed, overlap_s=60.0, page_size=page_size)
        for turn in story:
            for age_s, readable in turn.ages_s:
                last += 1
                feed.put(last, age_s, **({} if readable else {"sopInstanceUid": None}))
            feed.wrong_by = timedelta(seconds=turn.wrong_by_s)
            found += await poll(feed, reader, for_s=POLL_S)
            if turn.overlap_s:
                reader = reader_of(feed, stored(reader.position), overlap_s=turn.overlap_s, page_size=page_size)
            feed.pass_s(turn.wait_s)
        feed.wrong_by = timedelta()
        return found + await poll(feed, reader, for_s=200), last

    found, last = asyncio.run(read())
    assert sorted(found) == list(range(1, last + 1))
