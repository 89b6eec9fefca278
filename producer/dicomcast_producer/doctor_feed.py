"""The DICOM server as the producer needs it: its change feed, whether it is still the same, WADO-RS. Only reads."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from dicomcast_runtime.clocks import HttpClock, clock_finding
from dicomcast_runtime.dicomweb_client import DicomWebError
from dicomcast_runtime.doctor import Check, Finding, NotAskedError, doubtful
from dicomcast_runtime.errors import DependencyError
from dicomcast_schemas import Action, State

from .change_feed import ChangeFeed, Latest, Window
from .config import FeedSettings
from .cursor import Cursor
from .errors import PoisonedPageError, RetryableError
from .metrics import ProducerMetrics
from .readers import reader_at

__all__ = ["FeedChecks"]

T = TypeVar("T")


class FeedChecks:
    """The checks, with what the earlier ones found. `stack` closes the feed; `cursor` is what Kafka's checks found."""

    def __init__(
        self, settings: FeedSettings, stack: contextlib.AsyncExitStack, *, cursor: Callable[[], Cursor | None]
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._cursor = cursor
        self._clock_seen = HttpClock()
        self._opened: ChangeFeed | None = None
        self._latest: Latest | None = None

    def checks(self) -> tuple[Check, ...]:
        """In their order."""
        return (
            Check(name="feed", look=self._answers, needs=("settings",)),
            Check(name="feed.page", look=self._page, needs=("feed",)),
            Check(name="feed.identity", look=self._same, needs=("feed", "cursor")),
            Check(name="feed.dicomweb", look=self._wado, needs=("feed",)),
            Check(name="feed.clock", look=self._clock, needs=("feed",)),
        )

    def _feed(self) -> ChangeFeed:
        if self._opened is None:
            self._opened = ChangeFeed(self._settings, ProducerMetrics())
            self._stack.push_async_callback(self._opened.close)
            self._opened.watched_by(self._clock_seen)
        return self._opened

    async def _answers(self) -> Finding:
        self._latest = await self._now(self._feed().latest())
        return Finding(f"{self._settings.url} answers; its latest sequence is {self._latest.sequence}")

    async def _page(self) -> Finding:
        """The newest entry as `run` reads it."""
        entry = self._latest.entry if self._latest else None
        if entry is None:
            raise NotAskedError("the feed is empty")
        window = Window(offset=entry.event.sequence - 1, limit=1)
        if self._settings.api_version == "v2":
            at = entry.event.timestamp
            window = Window(offset=0, limit=1, start=at, end=at + timedelta(microseconds=1))
        try:
            entries = await self._now(self._feed().page(window, metadata=True))
        except PoisonedPageError as error:
            return doubtful(
                f"the newest entry cannot be read with its metadata ({error}): `run` reads around it; see the DICOM "
                "server's log"
            )
        return Finding(f"a page with metadata can be read ({len(entries)} entry)")

    async def _same(self) -> Finding:
        cursor = self._cursor()
        if cursor is None:
            raise NotAskedError("nothing of this feed has been published")
        await self._now(reader_at(self._feed(), self._settings)(cursor.position).check())
        return Finding("the last published entry is still what it was")

    async def _wado(self) -> Finding:
        entry = self._latest.entry if self._latest else None
        event = entry.event if entry else None
        if event is None or event.action is Action.DELETE or event.state is not State.CURRENT:
            raise NotAskedError("the newest entry is of no instance that is there")
        url = self._settings.dicomweb.url
        try:
            await self._feed().metadata(event)
        except DicomWebError as error:
            return doubtful(
                f"{url} does not give the newest instance ({error}): metadata that the change feed cannot give would "
                "be left out: check DICOMCAST_FEED__DICOMWEB_URL, the root before /studies"
            )
        return Finding(f"{url} gives the newest instance's metadata (WADO-RS)")

    async def _clock(self) -> Finding:
        return clock_finding(
            "the DICOM server", self._clock_seen.ahead, suffers="times of events and lag are off by it"
        )

    async def _now(self, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except RetryableError as error:
            raise DependencyError(f"{error}: start it, look into its log, or correct DICOMCAST_FEED__URL") from None
