"""API v1: windows of sequences, gaps, entries that appear late, and a feed that is not the one that was read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from dicomcast_producer.by_sequence import SequenceReader, advance
from dicomcast_producer.change_feed import ChangeFeed
from dicomcast_producer.entry import FeedEntry, unreadable_entry
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Idle, Page, Position
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError
from dicomcast_schemas import Action, State
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.dicom_server import DicomServer
from tests.unit.producer.feeds import SERIES, STUDY, feed_settings, fill, instance

T = TypeVar("T")


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def reading(
    server: DicomServer,
    do: Callable[[SequenceReader], Awaitable[T]],
    at: Position | None = None,
    clock: Clock | None = None,
    **settings: object,
) -> T:
    async def asked() -> T:
        chosen = feed_settings(url=server.base_url, **settings)
        feed = ChangeFeed(chosen, ProducerMetrics())
        try:
            return await do(SequenceReader(feed, chosen, at or Position(sequence=0), clock=clock or Clock()))
        finally:
            await feed.close()

    return asyncio.run(asked())


async def drain(reader: SequenceReader, clock: Clock) -> list[FeedEntry]:
    """All that comes until the feed is drained, with time passing while it waits."""
    entries: list[FeedEntry] = []
    for _ in range(200):
        found = await reader.next_page()
        if isinstance(found, Page):
            entries += found.entries
        elif found.drained:
            return entries
        else:
            clock.now_s += found.wait_s
    raise AssertionError("it does not come to an end")


def drained(server: DicomServer, **settings: object) -> list[FeedEntry]:
    clock = Clock()
    return reading(server, lambda reader: drain(reader, clock), None, clock, **settings)


def sequences(entries: list[FeedEntry]) -> list[int]:
    return [entry.event.sequence for entry in entries]


def test_an_empty_feed_is_drained_and_not_a_reset(dicom: DicomServer) -> None:
    found = reading(dicom, lambda reader: reader.next_page())
    assert found == Idle(wait_s=0.05, drained=True)


def test_everything_in_order_page_by_page(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 26))
    assert sequences(drained(dicom, page_size=10)) == list(range(1, 26))


def test_an_empty_page_is_a_gap_and_not_the_end(dicom: DicomServer) -> None:
    fill(dicom.store, [1])
    dicom.store.skip_sequences(55)
    fill(dicom.store, [2])
    assert sequences(drained(dicom, page_size=10)) == [1, 57]


def test_a_hole_is_not_passed_before_it_has_settled(dicom: DicomServer) -> None:
    """A sequence that was allocated and is inserted late is not lost."""
    fill(dicom.store, [1])
    (late,) = dicom.store.skip_sequences(1)
    fill(dicom.store, [3, 4])
    clock = Clock()

    async def story(reader: SequenceReader) -> list[object]:
        found: list[object] = []
        for step in range(3):
            page = await reader.next_page()
            found.append(sequences(list(page.entries)) if isinstance(page, Page) else page.drained)
            if step == 1:
                clock.now_s += 0.2  # not yet gap_settle_s
                dicom.store.create(instance(2), sequence=late)
        return found

    assert reading(dicom, story, clock=clock) == [[1], False, [2, 3, 4]]


def test_a_hole_that_has_settled_is_passed(dicom: DicomServer) -> None:
    fill(dicom.store, [1])
    dicom.store.skip_sequences(1)
    fill(dicom.store, [3])
    clock = Clock()

    async def story(reader: SequenceReader) -> tuple[float, list[int]]:
        await reader.next_page()
        waiting = await reader.next_page()
        assert isinstance(waiting, Idle)
        clock.now_s += 0.3
        page = await reader.next_page()
        assert isinstance(page, Page)
        return waiting.wait_s, sequences(list(page.entries))

    wait_s, passed = reading(dicom, story, clock=clock, poll_interval_s=5.0)
    assert wait_s == pytest.approx(0.3)
    assert passed == [3]


def test_a_later_hole_settles_on_its_own_time_without_a_busy_wait(dicom: DicomServer) -> None:
    fill(dicom.store, [1])
    clock = Clock()

    async def story(reader: SequenceReader) -> float:
        await reader.next_page()
        clock.now_s += 100
        await reader.next_page()
        dicom.store.skip_sequences(1)
        fill(dicom.store, [3])
        waiting = await reader.next_page()
        assert isinstance(waiting, Idle)
        return waiting.wait_s

    assert reading(dicom, story, clock=clock, poll_interval_s=5.0) == pytest.approx(0.3)


def test_a_hole_is_judged_by_what_was_known_when_its_page_was_read(dicom: DicomServer) -> None:
    """A page that was read ahead is given out later; until then its hole may have been filled."""
    fill(dicom.store, range(1, 7))
    (late,) = dicom.store.skip_sequences(1)
    fill(dicom.store, range(8, 13))
    clock = Clock()

    async def story(reader: SequenceReader) -> list[list[int]]:
        found = [await reader.next_page()]
        clock.now_s += 100
        dicom.store.create(instance(7), sequence=late)
        found += [await reader.next_page(), await reader.next_page()]
        return [sequences(list(page.entries)) for page in found if isinstance(page, Page)]

    assert reading(dicom, story, clock=clock, page_size=5) == [[1, 2, 3, 4, 5], [6], [7, 8, 9, 10, 11]]


@pytest.mark.parametrize("offset", [5, 10, 15])
def test_a_page_that_fails_does_not_hold_up_those_before_it(dicom: DicomServer, offset: int) -> None:
    """And its error is told then: the loop waits as long as the server asks for, and looks whether it is the same."""
    fill(dicom.store, range(1, 21))
    dicom.faults.answer(429, path_part="changefeed", query_part=f"offset={offset}&", headers={"Retry-After": "7"})

    async def story(reader: SequenceReader) -> list[int]:
        found: list[int] = []
        for _ in range(0, offset, 5):
            page = await reader.next_page()
            assert isinstance(page, Page)
            found += sequences(list(page.entries))
        with pytest.raises(RetryableError) as refused:
            await reader.next_page()
        assert refused.value.retry_after_s == 7
        return found + sequences(await drain(reader, Clock()))

    assert reading(dicom, story, page_size=5) == list(range(1, 21))


def test_latest_is_not_asked_for_each_page_of_a_backlog(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 101))
    assert sequences(drained(dicom, page_size=5)) == list(range(1, 101))
    assert len(dicom.journal.of("changefeed/latest")) == 2


def test_what_is_beyond_latest_waits_for_the_next_page(dicom: DicomServer) -> None:
    """`latest` was read before the page: what came in between may have holes before it."""
    entries = [unreadable_entry("pacs", sequence) for sequence in (1, 2, 3)]
    taken, reached = advance(0, entries, latest=2, limit=100, settled=0)
    assert (sequences(taken), reached) == ([1, 2], 2)


def test_latest_before_the_cursor_stops(dicom: DicomServer) -> None:
    fill(dicom.store, [1, 2])
    with pytest.raises(BrokenContractError, match="latest sequence is 2, and 7 was read"):
        reading(dicom, lambda reader: reader.next_page(), at=Position(sequence=7))


def test_an_emptied_server_stops(dicom: DicomServer) -> None:
    with pytest.raises(BrokenContractError, match="latest sequence is 0"):
        reading(dicom, lambda reader: reader.next_page(), at=Position(sequence=7))


def read_all(server: DicomServer) -> Position:
    clock = Clock()

    async def position(reader: SequenceReader) -> Position:
        await drain(reader, clock)
        return reader.position

    return reading(server, position, clock=clock)


def test_a_rebuilt_server_that_has_grown_past_the_cursor_stops(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    position = read_all(dicom)
    dicom.store.reset()
    fill(dicom.store, range(1, 9), study="1.2.9")
    with pytest.raises(BrokenContractError, match="entry 5 is another one"):
        reading(dicom, lambda reader: reader.check(), at=position)


def test_a_last_entry_that_is_gone_stops(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    position = read_all(dicom)
    dicom.store.reset()
    dicom.store.skip_sequences(6)
    fill(dicom.store, [7])
    with pytest.raises(BrokenContractError, match="entry 5 is not there any more"):
        reading(dicom, lambda reader: reader.check(), at=position)


def test_a_proxys_page_in_place_of_the_last_entry_is_no_reset(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    position = read_all(dicom)
    dicom.faults.answer(200, path_part="changefeed", body="<html>maintenance</html>")
    reading(dicom, lambda reader: reader.check(), at=position)


def test_the_same_feed_passes_the_check_whatever_has_become_of_the_instance(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    position = read_all(dicom)
    dicom.store.delete(STUDY)
    reading(dicom, lambda reader: reader.check(), at=position)


def test_updates_replaced_and_deleted_states(dicom: DicomServer) -> None:
    fill(dicom.store, [1, 2])
    dicom.store.update([STUDY], {"00080050": {"vr": "SH", "Value": ["A1"]}})
    dicom.store.delete(STUDY, SERIES, f"{SERIES}.2")
    events = [entry.event for entry in drained(dicom)]
    assert [(event.action, event.state) for event in events] == [
        (Action.CREATE, State.REPLACED),
        (Action.CREATE, State.DELETED),
        (Action.UPDATE, State.CURRENT),
        (Action.UPDATE, State.DELETED),
        (Action.DELETE, State.DELETED),
    ]
    assert [event.metadata is None for event in events] == [False, True, False, True, True]


def test_a_server_that_counts_rows_is_not_taken_for_v1(dicom: DicomServer) -> None:
    with pytest.raises(BrokenContractError, match="API_VERSION"):
        advance(5, [unreadable_entry("pacs", 5)], latest=9, limit=10, settled=9)


@pytest.mark.parametrize(("start", "sequence"), [("beginning", 0), ("now", 5), ("3", 3), ("0", 0)])
def test_start_positions(dicom: DicomServer, start: str, sequence: int) -> None:
    fill(dicom.store, range(1, 6))
    position = reading(dicom, lambda reader: reader.start_position(start))
    assert position.sequence == sequence
    assert (position.last.sequence if position.last else 0) == sequence


def test_a_start_that_is_yet_to_come_is_refused(dicom: DicomServer) -> None:
    with pytest.raises(ConfigurationError, match="sequence 3 is not in the feed yet"):
        reading(dicom, lambda reader: reader.start_position("3"))


@given(
    present=st.sets(st.integers(1, 60), max_size=40),
    limit=st.integers(1, 20),
    settled=st.integers(0, 60),
    after=st.integers(0, 40),
)
def test_nothing_unsettled_is_ever_passed(present: set[int], limit: int, settled: int, after: int) -> None:
    latest = max(present, default=0)
    window = [unreadable_entry("pacs", s) for s in sorted(present) if after < s <= after + limit]
    taken, reached = advance(after, window, latest=latest, limit=limit, settled=min(settled, latest))
    passed = set(range(after + 1, reached + 1))
    assert set(sequences(taken)) == present & passed  # nothing is left behind, nothing ahead of its turn
    assert all(hole <= settled for hole in passed - present)
    assert reached <= max(after, latest)
