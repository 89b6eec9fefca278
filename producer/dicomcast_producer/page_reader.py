"""A page of the feed even when one instance of it is broken.

    page fails with 400, 500 or malformed JSON
      → halves, down to one entry                       the neighbours are read as always
      → that entry with includeMetadata=false           its metadata by WADO-RS
          WADO-RS gives it                              as always
          the instance is gone                          without metadata; its deletion follows
          it fails                                      without metadata, marked
      → that entry is malformed even so, and again      UNKNOWN, with its sequence alone
        once another entry has been read

The last two only if another entry was readable, in the same minute or just now: otherwise the server is ill, not the
entry. What an UNKNOWN entry said is lost, so a gateway that gives pages of its own for a moment must not make one.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog
from dicomcast_runtime.dicomweb_client import DicomWebError, InstanceGoneError
from dicomcast_schemas import State
from dicomcast_schemas.topic import METADATA_UNREADABLE

from .change_feed import ChangeFeed, Window
from .entry import FeedEntry, unreadable_entry
from .errors import PoisonedPageError, RetryableError

__all__ = ["PageReader"]

_EVIDENCE_S: Final = 60.0
_NEIGHBOURS: Final = 20
_SEQUENCE: Final = re.compile(rb'"sequence"\s*:\s*([0-9]{1,18})', re.IGNORECASE)

_log = structlog.get_logger()


class PageReader:
    """Reads windows of a feed around what is broken in them."""

    def __init__(self, feed: ChangeFeed, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._feed = feed
        self._clock = clock
        self._readable_at: float | None = None
        """When metadata of any instance was last read."""

    async def read(self, window: Window) -> tuple[FeedEntry, ...]:
        """The entries of a window with their metadata. Raises RetryableError or ConfigurationError."""
        try:
            entries = await self._feed.page(window, metadata=True)
        except PoisonedPageError as poison:
            if window.limit == 1:
                return await self._read_one(window, poison)
            first, second = window.halves()
            return await self.read(first) + await self.read(second)
        self._note_readable(entries)
        return entries

    async def read_bare(self, window: Window) -> tuple[FeedEntry, ...]:
        """The entries of a window without their metadata. Raises RetryableError or ConfigurationError."""
        try:
            return await self._feed.page(window, metadata=False)
        except PoisonedPageError as poison:
            if window.limit == 1:
                return await self._bare_again(window, poison)
            first, second = window.halves()
            return await self.read_bare(first) + await self.read_bare(second)

    async def _read_one(self, window: Window, poison: PoisonedPageError) -> tuple[FeedEntry, ...]:
        try:
            bare = await self._feed.page(window, metadata=False)
        except PoisonedPageError as malformed:
            bare = await self._bare_again(window, malformed if malformed.body else poison)
        return tuple([await self._with_metadata(entry, window) for entry in bare])

    async def _with_metadata(self, entry: FeedEntry, window: Window) -> FeedEntry:
        event = entry.event
        if event.state is State.DELETED or not event.sop_instance_uid:
            return entry
        try:
            text = await self._feed.metadata(event)
        except InstanceGoneError:
            return entry
        except DicomWebError as error:
            await self._require_readable_neighbour(window)
            _log.warning("entry.metadata_unreadable", feed=event.feed, sequence=event.sequence, wado=str(error))
            return replace(entry, metadata_omitted=METADATA_UNREADABLE)
        self._readable_at = self._clock()
        return replace(entry, event=replace(event, metadata=text))

    async def _bare_again(self, window: Window, poison: PoisonedPageError) -> tuple[FeedEntry, ...]:
        """A malformed entry, asked for once more after another one was read: only then it is the entry's fault."""
        sequence = _sequence_of(window, poison)
        if not poison.body or sequence is None:
            raise RetryableError(f"the DICOM server gives no entry at {_place(window)}: {poison}")
        await self._find_readable_neighbour(window)
        try:
            return await self._feed.page(window, metadata=False)
        except PoisonedPageError:
            _log.warning("entry.unreadable", feed=self._feed.name, sequence=sequence)
            return (unreadable_entry(self._feed.name, sequence),)

    def _note_readable(self, entries: tuple[FeedEntry, ...]) -> None:
        if any(entry.event.metadata for entry in entries):
            self._readable_at = self._clock()

    async def _require_readable_neighbour(self, window: Window) -> None:
        if self._readable_at is not None and self._clock() - self._readable_at < _EVIDENCE_S:
            return
        await self._find_readable_neighbour(window)

    async def _find_readable_neighbour(self, window: Window) -> None:
        for near in _around(window):
            if await self._is_readable(near):
                self._readable_at = self._clock()
                return
        raise RetryableError(f"the DICOM server gives no metadata at {_place(window)}, nor that of any neighbour")

    async def _is_readable(self, window: Window) -> bool:
        try:
            if any(entry.event.metadata for entry in await self._feed.page(window, metadata=True)):
                return True
            bare: tuple[FeedEntry, ...] = ()
        except PoisonedPageError:
            bare = await self._bare_or_nothing(window)
        for entry in bare:
            try:
                await self._feed.metadata(entry.event)
            except DicomWebError:
                continue
            return True
        return False

    async def _bare_or_nothing(self, window: Window) -> tuple[FeedEntry, ...]:
        try:
            entries = await self._feed.page(window, metadata=False)
        except PoisonedPageError:
            return ()
        return tuple(e for e in entries if e.event.sop_instance_uid and e.event.state is not State.DELETED)


def _sequence_of(window: Window, poison: PoisonedPageError) -> int | None:
    if window.start is None and window.end is None:
        return window.offset + 1  # v1: a window of one sequence that is not empty holds that sequence
    found = _SEQUENCE.findall(poison.body)
    return int(found[0]) if len(found) == 1 else None


def _around(window: Window) -> tuple[Window, ...]:
    after = replace(window, offset=window.offset + 1, limit=_NEIGHBOURS)
    if window.offset > 0:
        start = max(0, window.offset - _NEIGHBOURS)
        return replace(window, offset=start, limit=window.offset - start), after
    if window.start is None:
        return (after,)
    day_before = replace(window, start=window.start - timedelta(days=1), end=window.start, limit=_NEIGHBOURS)
    return day_before, after


def _place(window: Window) -> str:
    if window.start is None and window.end is None:
        return f"sequence {window.offset + 1}"
    return f"row {window.offset} from {window.start or 'the beginning'}"
