"""Pages with broken instances: everything readable is read, the rest is marked, and an ill server is waited for."""

import asyncio

import pytest
from dicomcast_producer.change_feed import ChangeFeed, Window
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.page_reader import PageReader
from dicomcast_sandbox.dicom.store import Poison
from dicomcast_schemas import Action
from dicomcast_schemas.topic import METADATA_UNREADABLE, record_key

from tests.fakes.dicom_server import DicomServer
from tests.unit.producer.feeds import SERIES, STUDY, feed_settings, fill

ALL = Window(offset=0, limit=100)


def read(server: DicomServer, *windows: Window, version: str = "v1") -> list[FeedEntry]:
    async def asked() -> list[FeedEntry]:
        feed = ChangeFeed(feed_settings(url=server.base_url, api_version=version), ProducerMetrics())
        reader = PageReader(feed)
        try:
            return [entry for window in windows for entry in await reader.read(window)]
        finally:
            await feed.close()

    return asyncio.run(asked())


def sequences(entries: list[FeedEntry]) -> list[int]:
    return [entry.event.sequence for entry in entries]


@pytest.mark.parametrize("kind", list(Poison))
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_wado_gives_what_the_feed_cannot(dicom: DicomServer, kind: Poison, version: str) -> None:
    fill(dicom.store, range(1, 41))
    dicom.store.poison(f"{SERIES}.17", kind)
    entries = read(dicom, ALL, version=version)
    assert sequences(entries) == list(range(1, 41))
    assert all(entry.event.metadata for entry in entries)
    assert {entry.metadata_omitted for entry in entries} == {None}


def test_the_cost_of_one_broken_instance_is_logarithmic(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 101))
    dicom.store.poison(f"{SERIES}.60", Poison.ERROR_500)
    read(dicom, ALL)
    assert len(dicom.journal.entries) < 20


def test_an_instance_that_is_gone_has_no_metadata_and_no_mark(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    dicom.store.lose_metadata(f"{SERIES}.3")
    dicom.faults.answer(404, path_part="/instances/")
    entries = read(dicom, ALL)
    assert sequences(entries) == [1, 2, 3, 4, 5]
    assert entries[2].event.metadata is None
    assert entries[2].metadata_omitted is None


def test_metadata_that_no_one_gives_is_marked_when_a_neighbours_is_readable(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 11))
    dicom.store.poison(f"{SERIES}.1", Poison.ERROR_500)
    dicom.faults.answer(500, path_part="/instances/")
    entries = read(dicom, ALL)
    assert sequences(entries) == list(range(1, 11))
    assert entries[0].event.metadata is None
    assert entries[0].metadata_omitted == METADATA_UNREADABLE
    assert entries[0].event.sop_instance_uid == f"{SERIES}.1"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_last_instance_is_judged_by_those_before_it(dicom: DicomServer, version: str) -> None:
    fill(dicom.store, range(1, 6))
    dicom.store.poison(f"{SERIES}.5", Poison.ERROR_400)
    dicom.faults.answer(503, path_part="/instances/")
    (entry,) = read(dicom, Window(offset=4, limit=100), version=version)
    assert entry.metadata_omitted == METADATA_UNREADABLE


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_server_that_gives_no_metadata_at_all_is_ill(dicom: DicomServer, version: str) -> None:
    fill(dicom.store, range(1, 31))
    for number in range(1, 31):
        dicom.store.poison(f"{SERIES}.{number}", Poison.ERROR_500)
    dicom.faults.answer(500, times=1000, path_part="/instances/")
    with pytest.raises(RetryableError, match="nor that of any neighbour"):
        read(dicom, ALL, version=version)
    assert len(dicom.journal.entries) < 60  # it is not asked about every instance


def test_a_server_that_answers_500_to_everything_is_ill(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 31))
    dicom.faults.answer(500, times=1000)
    with pytest.raises(RetryableError):
        read(dicom, ALL)
    assert len(dicom.journal.entries) < 20


def test_a_deleted_instance_needs_no_metadata(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 4))
    dicom.store.delete(STUDY, SERIES, f"{SERIES}.2")
    dicom.store.poison(f"{SERIES}.1", Poison.ERROR_500)
    entries = read(dicom, ALL)
    assert [entry.event.metadata is None for entry in entries] == [False, True, False, True]


def test_an_entry_that_is_never_json_is_published_as_unknown(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 4))
    only_two = Window(offset=1, limit=1)
    never = {"path_part": "changefeed", "query_part": "offset=1&limit=1&"}
    dicom.faults.answer(200, times=1000, **never, body='[{"sequence":2,"stud')
    (first, second) = read(dicom, only_two, Window(offset=2, limit=1))
    assert (first.event.sequence, first.event.action, first.event.metadata) == (2, Action.UNKNOWN, None)
    assert record_key(first.event) == b"pacs:2"
    assert second.event.sequence == 3


def test_a_proxys_page_for_a_moment_costs_no_entry(dicom: DicomServer) -> None:
    """Even when it comes just as one entry alone is asked for, and others were read a moment ago."""
    fill(dicom.store, range(1, 4))
    dicom.store.poison(f"{SERIES}.2", Poison.ERROR_500)
    dicom.faults.answer(200, times=2, query_part="offset=1&limit=1&", body="<html>maintenance</html>")
    entries = read(dicom, Window(offset=0, limit=1), Window(offset=1, limit=1))
    assert [entry.event.action for entry in entries] == [Action.CREATE, Action.CREATE]
    assert entries[1].event.metadata


def test_a_proxys_page_in_place_of_every_answer_is_an_outage(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 4))
    dicom.faults.answer(200, times=1000, body="<html>maintenance</html>")
    with pytest.raises(RetryableError):
        read(dicom, ALL)
