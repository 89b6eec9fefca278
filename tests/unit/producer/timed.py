"""Reading API v2: what the tests of it share."""

from dicomcast_producer.by_time import TimeReader
from dicomcast_producer.cursor import Cursor, Identity, cursor_from_json, cursor_json
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.position import Page, Position

from tests.fakes.timed_feed import TimedFeed
from tests.unit.producer.feeds import feed_settings

POLL_S = 5.0


def reader_of(feed: TimedFeed, at: Position | None = None, **settings: object) -> TimeReader:
    """A reader whose time is the feed's."""
    chosen = feed_settings(url="http://pacs", api_version="v2", **{"lag_s": 10.0, "overlap_s": 300.0, **settings})
    return TimeReader(feed, chosen, at or Position(sequence=0), clock=lambda: feed.now.timestamp())


async def drain(reader: TimeReader) -> list[int]:
    """The sequences of all that comes."""
    found: list[int] = []
    while isinstance(page := await reader.next_page(), Page):
        found += [entry.event.sequence for entry in page.entries]
    return found


async def poll(feed: TimedFeed, reader: TimeReader, *, for_s: float) -> list[int]:
    """The sequences of all that comes while that much time passes."""
    found: list[int] = []
    for _ in range(int(for_s / POLL_S)):
        feed.pass_s(POLL_S)
        try:
            found += await drain(reader)
        except RetryableError:
            continue  # it is asked again
    return found


def stored(position: Position) -> Position:
    """As it comes back from the cursor topic."""
    identity = Identity(feed="pacs", url="u", api_version="v2", partitions=1, topic_id=None)
    return cursor_from_json(cursor_json(Cursor(identity=identity, position=position, instance="i"))).position
