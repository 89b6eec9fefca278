"""API v2: overlapping windows of time, entries that appear late, ties, and a feed that is not the one that was read."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from dicomcast_producer.by_time import TimeReader
from dicomcast_producer.change_feed import ChangeFeed
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Page, Position
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError
from dicomcast_sandbox.dicom.store import Poison

from tests.fakes.dicom_server import DicomServer
from tests.unit.producer.feeds import SERIES, STUDY, feed_settings, instance, ticks
from tests.unit.producer.timed import drain, stored

T = TypeVar("T")


def put(server: DicomServer, *ages_s: float, sequence: int | None = None) -> None:
    """Instances that many seconds old."""
    now = datetime.now(UTC)
    for age_s in ages_s:
        number = server.store.counts()["Create events"] + 1
        server.store.create(instance(number), ticks=ticks(now - timedelta(seconds=age_s)), sequence=sequence)


def reading(
    server: DicomServer, do: Callable[[TimeReader], Awaitable[T]], *, at: Position | None = None, **settings: object
) -> T:
    async def asked() -> T:
        chosen = feed_settings(url=server.base_url, api_version="v2", **{"lag_s": 2.0, "overlap_s": 100, **settings})
        feed = ChangeFeed(chosen, ProducerMetrics())
        try:
            return await do(TimeReader(feed, chosen, at or Position(sequence=0)))
        finally:
            await feed.close()

    return asyncio.run(asked())


async def drain_twice(reader: TimeReader) -> tuple[list[int], list[int]]:
    return await drain(reader), await drain(reader)


async def drain_to(reader: TimeReader) -> Position:
    await drain(reader)
    return stored(reader.position)


def test_an_empty_feed(dicom: DicomServer) -> None:
    assert reading(dicom, drain_twice) == ([], [])


@pytest.mark.parametrize("page_size", [1, 3, 200])
def test_everything_once_in_the_order_of_time(dicom: DicomServer, page_size: int) -> None:
    put(dicom, 5000, 400, 3000, 50, 40)
    assert reading(dicom, drain_twice, page_size=page_size) == ([1, 3, 2, 4, 5], [])


@pytest.mark.parametrize("page_size", [1, 2, 5])
def test_entries_of_one_instant_fill_more_than_a_page(dicom: DicomServer, page_size: int) -> None:
    put(dicom, *[60.0] * 7, 50.0)
    assert reading(dicom, drain_twice, page_size=page_size) == ([1, 2, 3, 4, 5, 6, 7, 8], [])


def test_entries_younger_than_the_lag_wait(dicom: DicomServer) -> None:
    put(dicom, 60, 0)
    assert reading(dicom, drain, lag_s=30.0) == [1]


def test_an_entry_that_appears_late_is_found_by_the_overlap(dicom: DicomServer) -> None:
    put(dicom, 90, 20)

    async def story(reader: TimeReader) -> tuple[list[int], list[int]]:
        first = await drain(reader)
        put(dicom, 50)
        return first, await drain(reader)

    assert reading(dicom, story) == ([1, 2], [3])


def test_after_a_restart_nothing_is_sent_again_and_late_ones_are_found(dicom: DicomServer) -> None:
    put(dicom, 5000, 95, 60, 20)
    position = reading(dicom, drain_to)
    assert position.sent
    put(dicom, 50)
    assert reading(dicom, drain_twice, at=position) == ([5], [])


def test_a_restart_in_the_middle_of_a_window(dicom: DicomServer) -> None:
    put(dicom, 5000, 4000, 4000, 3000, 60, 20)

    async def one_page(reader: TimeReader) -> Position:
        await reader.next_page()
        return stored(reader.position)

    position = reading(dicom, one_page, page_size=2)
    assert reading(dicom, drain, at=position, page_size=2) == [3, 4, 5, 6]


def test_what_is_sent_is_remembered_only_within_the_overlap(dicom: DicomServer) -> None:
    put(dicom, 5000, 4000, 30, 20)
    position = reading(dicom, drain_to)
    assert position.sent == ((3, 4),)
    assert position.sequence == 4


@pytest.mark.parametrize("started", ["beginning", "now"])
def test_a_larger_overlap_sends_nothing_again(dicom: DicomServer, started: str) -> None:
    put(dicom, *range(500, 10, -30))

    async def from_there(reader: TimeReader) -> Position:
        position = await reader.start_position(started)
        return position if started == "now" else await drain_to(reader)

    position = stored(reading(dicom, from_there))
    put(dicom, 8)

    async def story(reader: TimeReader) -> list[int]:
        found = await drain(reader)
        put(dicom, 400, 50)  # too late for the overlap of before; in time
        return found + await drain(reader)

    assert reading(dicom, story, at=position, overlap_s=1800) == [18, 20]


def test_a_larger_overlap_counts_once_what_it_reaches_back_to_is_remembered(dicom: DicomServer) -> None:
    put(dicom, 900, 500)
    position = reading(dicom, drain_to)

    async def story(reader: TimeReader) -> list[int]:
        put(dicom, 20)
        found = await drain(reader)
        put(dicom, 300)
        return found + await drain(reader)

    assert reading(dicom, story, at=position, overlap_s=400) == [3, 4]


def test_a_cursor_of_before_has_no_start_of_what_is_remembered(dicom: DicomServer) -> None:
    put(dicom, 60, 20)
    position = replace(reading(dicom, drain_to), sent_from=None)
    put(dicom, 90)
    assert reading(dicom, drain, at=stored(position)) == [3]


def test_an_idle_feed_is_looked_at_without_metadata(dicom: DicomServer) -> None:
    put(dicom, 60, 20)

    async def story(reader: TimeReader) -> None:
        await drain(reader)
        dicom.journal.clear()
        await drain(reader)

    reading(dicom, story)
    pages = [one.query.lower() for one in dicom.journal.entries if one.path.endswith("/changefeed")]
    assert pages
    assert all("includemetadata=false" in query for query in pages)


def test_metadata_comes_with_the_new_entries_of_an_overlap(dicom: DicomServer) -> None:
    put(dicom, 60)

    async def story(reader: TimeReader) -> list[bool]:
        await drain(reader)
        put(dicom, 20)
        page = await reader.next_page()
        assert isinstance(page, Page)
        return [entry.event.metadata is not None for entry in page.entries]

    assert reading(dicom, story) == [True]


def test_a_poisoned_instance_holds_nothing_up(dicom: DicomServer) -> None:
    put(dicom, *range(60, 20, -1))
    dicom.store.poison(f"{SERIES}.13", Poison.ERROR_500)
    assert reading(dicom, drain_twice) == (list(range(1, 41)), [])


def test_a_server_whose_latest_is_older_than_the_last_entry_stops(dicom: DicomServer) -> None:
    put(dicom, 60, 20)
    position = reading(dicom, drain_to)
    dicom.store.reset()
    put(dicom, 500, 400, 300)
    with pytest.raises(BrokenContractError, match="its latest entry is of"):
        reading(dicom, drain, at=position)


def test_an_emptied_server_stops(dicom: DicomServer) -> None:
    put(dicom, 60, 20)
    position = reading(dicom, drain_to)
    dicom.store.reset()
    with pytest.raises(BrokenContractError, match="never"):
        reading(dicom, drain, at=position)


def test_a_rebuilt_server_that_has_newer_entries_stops_at_the_check(dicom: DicomServer) -> None:
    put(dicom, 60, 20)
    position = reading(dicom, drain_to)
    reading(dicom, lambda reader: reader.check(), at=position)
    dicom.store.reset()
    put(dicom, 60, 10)
    with pytest.raises(BrokenContractError, match="entry 2 is not there any more"):
        reading(dicom, lambda reader: reader.check(), at=position)


def test_the_check_finds_its_entry_among_many_of_one_instant(dicom: DicomServer) -> None:
    put(dicom, *[30.0] * 7)
    position = reading(dicom, drain_to)
    dicom.store.delete(STUDY)
    reading(dicom, lambda reader: reader.check(), at=position, page_size=2)


async def from_now(reader: TimeReader) -> Position:
    return stored(await reader.start_position("now"))


def test_start_now_sends_nothing_that_is_there_and_everything_later(dicom: DicomServer) -> None:
    put(dicom, 5000, 50, 20)
    position = reading(dicom, from_now)
    put(dicom, 10)
    assert reading(dicom, drain_twice, at=position) == ([4], [])


@pytest.mark.parametrize(("start", "rest"), [("1", [3, 2, 4]), ("3", [2, 4]), ("2", [4]), ("4", [])])
def test_start_at_a_sequence_scans_for_it(dicom: DicomServer, start: str, rest: list[int]) -> None:
    put(dicom, 5000, 50, 3000, 20)  # by time: 1, 3, 2, 4
    position = reading(dicom, lambda reader: reader.start_position(start))
    assert reading(dicom, drain, at=stored(position), page_size=2) == rest


def test_a_start_that_is_not_there_is_refused(dicom: DicomServer) -> None:
    put(dicom, 50)
    with pytest.raises(ConfigurationError, match="sequence 9 is not in the feed"):
        reading(dicom, lambda reader: reader.start_position("9"))
