"""The reader that fits the configured version of the change feed API."""

from collections.abc import Callable

from .bridge import Reader
from .by_sequence import SequenceReader
from .by_time import TimeReader
from .change_feed import ChangeFeed
from .config import FeedSettings
from .position import Position

__all__ = ["reader_at"]


def reader_at(feed: ChangeFeed, settings: FeedSettings) -> Callable[[Position], Reader]:
    """How to read the feed after a position."""
    kind: type[SequenceReader] | type[TimeReader] = SequenceReader if settings.api_version == "v1" else TimeReader
    return lambda position: kind(feed, settings, position)
