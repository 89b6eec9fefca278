"""`cursor show` and `cursor set`: where the producer stands, and putting it elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from dicomcast_runtime.errors import DependencyError

from .bridge import CursorSource, FeedIdentity, Publisher, Reader, TopicSource, require_same
from .change_feed import ChangeFeed
from .config import FeedSettings
from .cursor import Cursor
from .errors import RetryableError, UnreadableCursorError
from .position import Position

__all__ = ["CursorCommands"]

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorCommands:
    """The commands over the parts of a producer that does not run."""

    settings: FeedSettings
    feed: ChangeFeed
    reader: Reader
    publisher: Publisher
    cursors: CursorSource
    topic: TopicSource
    out: Print

    async def show(self) -> None:
        """Prints the cursor, the feed's latest entry and the lag.

        Raises DependencyError when a peer is away, BrokenContractError when the cursor is another feed's.
        """
        try:
            topic = self.topic.state()  # first, for one clear error when there is no such topic
            cursor = self.cursors.read()
            self._print(cursor)
            if cursor is not None:
                require_same(cursor.identity, FeedIdentity.of(self.settings).with_topic(topic))
            latest = (await self.feed.latest()).sequence
        except RetryableError as error:
            raise DependencyError(str(error)) from None
        self.out(f"feed latest:    {latest}")
        self.out(f"lag:            {latest - (cursor.position.sequence if cursor else 0)}")

    async def set(self, to: str, *, confirm: Callable[[str], bool]) -> bool:
        """Writes the cursor with the identity that is configured now; a running producer is fenced and ends with 75.

        Returns whether it was written. Raises DependencyError when a peer is away, ConfigurationError.
        """
        try:
            position = await self.reader.start_position(to)
            topic = self.topic.state()
            self._print_replaced()
            if not confirm(f"Set the cursor of feed {self.settings.name} to {position.sequence}?"):
                return False
            identity = FeedIdentity.of(self.settings).with_topic(topic)
            self._write(Cursor(identity=identity, position=position, instance=uuid4().hex))
        except RetryableError as error:
            raise DependencyError(str(error)) from None
        self.out(f"set to:         {position.sequence}")
        return True

    def _write(self, cursor: Cursor) -> None:
        self.publisher.interrupt(within_s=30.0)
        self.publisher.fence()
        self.publisher.close_older(self._replaced())
        self.publisher.publish((), cursor)

    def _replaced(self) -> Cursor | None:
        """None also where its record cannot be understood."""
        try:
            return self.cursors.read()
        except UnreadableCursorError:
            return None

    def _print_replaced(self) -> None:
        try:
            self._print(self.cursors.read())
        except UnreadableCursorError:
            self.out("cursor:         unreadable: its record is replaced")

    def _print(self, cursor: Cursor | None) -> None:
        if cursor is None:
            self.out("cursor:         none: nothing of this feed has been published")
            return
        self.out(f"cursor:         {cursor.position.sequence}")
        self.out(f"feed:           {cursor.identity.feed} {cursor.identity.api_version} {cursor.identity.url}")
        self.out(f"partitions:     {cursor.identity.partitions}")
        self._print_last(cursor.position)

    def _print_last(self, position: Position) -> None:
        if position.read_to is not None:
            self.out(f"read to:        {position.read_to.isoformat()}")
        if position.last is not None:
            last = position.last
            self.out(
                f"last entry:     {last.sequence} {last.action} {last.timestamp.isoformat()} {last.sop_instance_uid}"
            )
