"""Reading the feed in the order of its timestamps: API v2.

A window is start ≤ timestamp < end, in the order (timestamp, sequence). Its end stays behind the server's clock, and
it starts before the newest entry that was read, because an entry may appear later than its timestamp says; what was
read before is dropped by its sequence. Within a window the start moves along: the server counts its way through
`offset`.

How far the feed was read is told by its entries alone: a clock that is ahead for one answer would pass over what is yet
to come. Once the feed has been idle for so long that nothing in the overlap is expected any more, a window starts after
it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from dicomcast_runtime.errors import ConfigurationError

from .by_sequence import reset_error
from .change_feed import ChangeFeed, Latest, Window
from .config import FeedSettings
from .entry import NO_TIME, FeedEntry
from .errors import RetryableError
from .page_reader import PageReader
from .position import Idle, Page, Position, last_entry, sequence_ranges

__all__ = ["TimeReader"]

_MICROSECOND: Final = timedelta(microseconds=1)
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""The nodes of one server by no more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """Where a window is being read."""

    window: Window
    drained: bool
    """Whether the window reaches over everything that the feed had when it was opened."""
    opened_s: float


class TimeReader:
    """The entries after a position, page by page."""

    def __init__(
        self,
        feed: ChangeFeed,
        settings: FeedSettings,
        position: Position,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._pages = PageReader(feed)
        self._settings = settings
        self._overlap = timedelta(seconds=settings.overlap_s)
        self._scan: _Scan | None = None
        self._grew_s = self._looked_s = clock()
        """When `read_to` last moved, and when the last window that was read to its end was opened."""
        self.position = position
        sent = (s for first, last in position.sent for s in range(first, last + 1))
        self._sent: dict[int, datetime | None] = dict.fromkeys(sent)
        """With their times, which are not stored: None until they are seen again."""

    async def next_page(self) -> Page | Idle:
        """New entries in the order of the feed. Raises RetryableError, or BrokenContractError after a reset."""
        scan = self._scan or await self._open_window()
        while scan is not None:
            entries = await self._read(scan.window)
            # A page that is read in parts has a row twice when another one appears before it meanwhile.
            fresh = tuple({e.event.sequence: e for e in entries if e.event.sequence not in self._sent}.values())
            self._scan = following = self._after(scan, entries)
            self._note(scan, entries, fresh)
            if fresh:
                return Page(entries=fresh, position=self.position)
            if following is None:
                self._looked_s = scan.opened_s
                return Idle(wait_s=self._settings.poll_interval_s, drained=scan.drained)
            scan = following
        return Idle(wait_s=self._settings.poll_interval_s, drained=False)

    async def check(self) -> None:
        """Raises BrokenContractError when the last entry read is not what it was: another feed, or a rebuilt one."""
        last = self.position.last
        if last is None:
            return
        window = Window(
            offset=0, limit=self._settings.page_size, start=last.timestamp, end=last.timestamp + _MICROSECOND
        )
        found = None
        while found is None:
            entries = await self._pages.read_bare(window)
            found = last_entry((e for e in entries if e.event.sequence == last.sequence), None)
            if len(entries) < window.limit:
                break
            window = replace(window, offset=window.offset + window.limit)
        if found != last:
            raise reset_error(f"entry {last.sequence} is {'another one' if found else 'not there any more'}")

    async def start_position(self, start: str) -> Position:
        """The position of `beginning`, `now` or a sequence, which is looked for through the whole feed."""
        if start == "beginning":
            return Position(sequence=0)
        latest = await self._feed.latest()
        if start == "now":
            if latest.entry is None:
                return Position(sequence=0)
            end = self._end(latest)
            return await self._position_at(min(_time(latest.entry) or end, end), sequence=None)
        wanted = int(start)
        window = Window(offset=0, limit=self._settings.page_size, end=self._end(latest))
        while True:
            entries = await self._pages.read_bare(window)
            for entry in entries:
                if entry.event.sequence == wanted:
                    if _time(entry) is None:
                        raise ConfigurationError(
                            f"sequence {wanted} has no time that can be read, by which to go on: choose one near it"
                        )
                    return await self._position_at(entry.event.timestamp, sequence=wanted)
            if len(entries) < window.limit:
                raise ConfigurationError(f"sequence {wanted} is not in the feed")
            window = _moved(window, entries)

    async def _position_at(self, at: datetime, *, sequence: int | None) -> Position:
        """Everything before `at` was read; with a sequence, also what stands at `at` up to it."""
        window = Window(offset=0, limit=self._settings.page_size, start=_back(at, self._overlap), end=at + _MICROSECOND)
        before: list[FeedEntry] = []
        while True:
            entries = await self._pages.read_bare(window)
            before += [e for e in entries if sequence is None or e.event.sequence <= sequence]
            if len(entries) < window.limit:
                break
            window = replace(window, offset=window.offset + window.limit)
        sent = sequence_ranges(e.event.sequence for e in before)
        return Position(
            sequence=sequence or max((last for _, last in sent), default=0),
            read_to=at,
            sent_from=window.start,
            sent=sent,
            last=last_entry(before, None),
        )

    async def _open_window(self) -> _Scan | None:
        latest = await self._feed.latest()
        self._require_growth(latest)
        end = self._end(latest)
        start = self._start(end)
        if start is not None and end <= start:
            return None
        window = Window(offset=0, limit=self._settings.page_size, start=start, end=end)
        return _Scan(window=window, drained=self._is_read(latest.entry, before=end), opened_s=self._clock())

    def _start(self, end: datetime) -> datetime | None:
        read_to = self.position.read_to
        if read_to is None:
            return None
        if read_to - end > max(self._overlap, _CLOCKS_DIFFER):
            raise RetryableError(
                f"the clock of the DICOM server has gone back: its entries up to {end.isoformat()} may be read now, "
                f"and those up to {read_to.isoformat()} were. Correct it. If it had been ahead, what has changed since "
                "is read only after `dicomcast-producer cursor set --to ...`"
            )
        idle_s = self._looked_s - self._grew_s
        if read_to < end and idle_s >= self._settings.overlap_s + self._settings.lag_s:
            return read_to + _MICROSECOND
        # After a restart with a larger overlap, no further than what was sent is known.
        return _newest(_back(read_to, self._overlap), self.position.sent_from)

    def _is_read(self, newest: FeedEntry | None, *, before: datetime) -> bool:
        """Whether nothing is left once everything before a time was read."""
        if newest is None:
            return True
        at = _time(newest)
        return newest.event.sequence in self._sent if at is None else at < before

    async def _read(self, window: Window) -> tuple[FeedEntry, ...]:
        """With metadata; where everything may have been read before, a look without it comes first."""
        read_to = self.position.read_to
        if read_to is not None and window.start is not None and window.start < read_to:
            bare = await self._pages.read_bare(window)
            if all(e.event.sequence in self._sent for e in bare):
                return bare
        return await self._pages.read(window)

    def _after(self, scan: _Scan, entries: tuple[FeedEntry, ...]) -> _Scan | None:
        if len(entries) < scan.window.limit:
            return None
        return replace(scan, window=_moved(scan.window, entries))

    def _note(self, scan: _Scan, entries: tuple[FeedEntry, ...], fresh: tuple[FeedEntry, ...]) -> None:
        read_to = _newest(self.position.read_to, *(e.event.timestamp for e in entries))
        if read_to != self.position.read_to:
            self._grew_s = self._clock()
        oldest = None if read_to is None else _back(read_to, self._overlap)
        self._remember(scan.window, entries, oldest=oldest or NO_TIME)
        self.position = Position(
            sequence=max([self.position.sequence, *(e.event.sequence for e in fresh)]),
            read_to=read_to,
            sent_from=_newest(self.position.sent_from, oldest),
            sent=sequence_ranges(self._sent),
            last=last_entry(fresh, self.position.last),
        )

    def _remember(self, window: Window, entries: tuple[FeedEntry, ...], *, oldest: datetime) -> None:
        """Notes what was seen, each time, and forgets what no window will reach back to."""
        assert window.end is not None
        noted = self._sent | {e.event.sequence: _time(e) for e in entries}
        # What has no time that is known stands before the end of the window.
        self._sent = {sequence: at for sequence, known in noted.items() if (at := known or window.end) >= oldest}

    def _require_growth(self, latest: Latest) -> None:
        last = self.position.last
        if last is None:
            return
        newest = latest.entry
        if newest is not None and (_time(newest) or last.timestamp) >= last.timestamp:
            return
        when = newest.event.timestamp if newest else "never"
        raise reset_error(f"its latest entry is of {when}, and one of {last.timestamp} was read before")

    def _end(self, latest: Latest) -> datetime:
        return latest.server_time - timedelta(seconds=self._settings.lag_s)


def _moved(window: Window, entries: tuple[FeedEntry, ...]) -> Window:
    """The rest of a window after a full page of it."""
    newest = max(e.event.timestamp for e in entries)
    if newest > (window.start or NO_TIME):
        return replace(window, start=newest, offset=0)
    return replace(window, offset=window.offset + len(entries))


def _time(entry: FeedEntry) -> datetime | None:
    at = entry.event.timestamp
    return None if at == NO_TIME else at


def _newest(*times: datetime | None) -> datetime | None:
    return max((at for at in times if at is not None), default=None)


def _back(at: datetime, span: timedelta) -> datetime:
    try:
        return at - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
