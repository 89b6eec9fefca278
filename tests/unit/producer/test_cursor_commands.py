"""`cursor set` on a cursor that `run` cannot go on from."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from dicomcast_producer.bridge import FeedIdentity
from dicomcast_producer.by_sequence import SequenceReader
from dicomcast_producer.change_feed import ChangeFeed
from dicomcast_producer.cursor import Cursor, cursor_from_json
from dicomcast_producer.cursor_commands import CursorCommands
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Position
from dicomcast_runtime.errors import BrokenContractError

from tests.fakes.dicom_server import DicomServer
from tests.fakes.kafka_topic import FakePublisher, FakeTopic
from tests.unit.producer.feeds import feed_settings, fill


class Stored(FakeTopic):
    """Its cursor is what a record says, until another one is written."""

    record = b""

    def read(self) -> Cursor | None:
        return self.cursor or cursor_from_json(self.record)


def set_to(to: str, topic: FakeTopic, dicom: DicomServer) -> list[str]:
    """The lines that it prints."""

    async def set_cursor(commands: CursorCommands) -> None:
        assert await commands.set(to, confirm=lambda _: True)

    return printed(set_cursor, topic, dicom)


def printed(command: Callable[[CursorCommands], Awaitable[None]], topic: FakeTopic, dicom: DicomServer) -> list[str]:
    lines: list[str] = []

    async def run() -> None:
        settings = feed_settings(url=dicom.base_url)
        feed = ChangeFeed(settings, ProducerMetrics())
        commands = CursorCommands(
            settings=settings,
            feed=feed,
            reader=SequenceReader(feed, settings, Position(sequence=0)),
            publisher=FakePublisher(topic),
            cursors=topic,
            topic=topic,
            out=lines.append,
        )
        try:
            await command(commands)
        finally:
            await feed.close()

    asyncio.run(run())
    return lines


@pytest.mark.parametrize("record", [b"", b"{}", b'{"version": 1, "sequence": "x"}', b"[]"])
def test_a_record_that_cannot_be_understood_is_replaced(dicom: DicomServer, record: bytes) -> None:
    fill(dicom.store, range(1, 4))
    topic = Stored()
    topic.record = record
    assert set_to("2", topic, dicom) == ["cursor:         unreadable: its record is replaced", "set to:         2"]
    assert topic.cursor is not None
    assert topic.cursor.position.sequence == 2
    assert topic.cursor.identity == FeedIdentity.of(feed_settings(url=dicom.base_url)).with_topic(topic.state())


def test_a_cursor_of_a_newer_release_is_not_replaced(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 4))
    topic = Stored()
    topic.record = b'{"version": 2}'
    with pytest.raises(BrokenContractError, match="upgrade this producer"):
        set_to("2", topic, dicom)
    assert topic.cursors == []


def test_a_cursor_of_another_feed_has_no_lag(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 4))
    topic = FakeTopic()
    ours = FeedIdentity.of(feed_settings(url=dicom.base_url)).with_topic(topic.state())
    topic.cursor = Cursor(identity=replace(ours, feed="other"), position=Position(sequence=1), instance="i")
    with pytest.raises(BrokenContractError, match=r"feed: other.*DICOMCAST_FEED__NAME"):
        printed(CursorCommands.show, topic, dicom)
