"""Reading the feed in the order of its sequences: API v1.

`offset` is an exclusive sequence and `limit` a window of sequences, so an empty page is a gap, not the end. Sequences
are given out before their rows can be seen: a hole may still fill.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dicomcast_runtime.errors import BrokenContractError, ConfigurationError

from .change_feed import ChangeFeed, Window
from .config import FeedSettings
from .entry import FeedEntry
from .page_reader import PageReader
from .position import Idle, Page, Position, last_entry

__all__ = ["SequenceReader", "advance", "reset_error"]

_LEAST_WAIT_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A window as it was read, and what was known before that."""

    window: Window
    entries: tuple[FeedEntry, ...]
    latest: int
    settled: int


class SequenceReader:
    """The entries after a position, page by page; of a backlog several pages are asked for at a time."""

    def __init__(
        self,
        feed: ChangeFeed,
        settings: FeedSettings,
        position: Position,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._pages = PageReader(feed, clock=clock)
        self._settings = settings
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        """When which `latest` was read, over the last `gap_settle_s` and the one before."""
        self._ahead: deque[_Read] = deque()
        """What was read and not given out yet: windows in their order, the first after `position`."""
        self._failed: BaseException | None = None
        """The error of the window after those."""
        self._look_again = False
        """Whether `latest` must be asked for before the next window: the last one had a hole."""
        self.position = position

    async def next_page(self) -> Page | Idle:
        """Entries in sequence order, none of them beyond the `latest` that was read before them.

        Raises RetryableError, or BrokenContractError when the feed has fewer entries than were read.
        """
        after = self.position.sequence
        if not self._ahead:
            self._raise_failure()
            latest = await self._latest()
            if latest < after:
                raise reset_error(f"its latest sequence is {latest}, and {after} was read before")
            if latest == after:
                return Idle(wait_s=self._settings.poll_interval_s, drained=True)
            self._ahead.extend(await self._read(latest, self._settled()))
        read = self._ahead.popleft()
        limit = read.window.limit
        taken, reached = advance(after, read.entries, latest=read.latest, limit=limit, settled=read.settled)
        if reached < after + limit:  # a hole, or the end: what was read beyond does not follow
            self._ahead.clear()
            self._look_again = True
        if reached == after:
            return Idle(wait_s=self._wait_for_hole_s(read.settled), drained=False)
        self.position = Position(sequence=reached, last=last_entry(taken, self.position.last))
        return Page(entries=tuple(taken), position=self.position)

    async def _latest(self) -> int:
        """The newest sequence; in the middle of a backlog as it was up to `poll_interval_s` ago."""
        if self._seen and not self._look_again:
            read_s, latest = self._seen[-1]
            fresh = self._clock() - read_s < self._settings.poll_interval_s
            if fresh and latest >= self.position.sequence + self._settings.page_size:
                return latest
        latest = (await self._feed.latest()).sequence
        self._seen.append((self._clock(), latest))
        self._look_again = False
        return latest

    async def _read(self, latest: int, settled: int) -> list[_Read]:
        """The next windows up to `latest`, asked for together; of those before the first that fails at least one."""
        first, limit = self.position.sequence, self._settings.page_size
        offsets = range(first, min(latest, first + limit * self._settings.pages_in_flight), limit)
        windows = [Window(offset=offset, limit=limit) for offset in offsets]
        found = await asyncio.gather(*map(self._pages.read, windows), return_exceptions=True)
        reads: list[_Read] = []
        for window, entries in zip(windows, found, strict=True):
            if isinstance(entries, BaseException):
                self._failed = entries
                break
            reads.append(_Read(window=window, entries=entries, latest=latest, settled=settled))
        if not reads:
            self._raise_failure()
        return reads

    def _raise_failure(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    async def check(self) -> None:
        """Raises BrokenContractError when the last entry read is not what it was: another feed, or a rebuilt one."""
        last = self.position.last
        if last is None:
            return
        entries = await self._pages.read_bare(Window(offset=last.sequence - 1, limit=1))
        found = last_entry((e for e in entries if e.event.sequence == last.sequence), None)
        if found != last:
            raise reset_error(f"entry {last.sequence} is {'another one' if found else 'not there any more'}")

    async def start_position(self, start: str) -> Position:
        """The position of `beginning`, `now` or a sequence. Raises ConfigurationError when that is yet to come."""
        if start == "beginning":
            return Position(sequence=0)
        latest = (await self._feed.latest()).sequence
        sequence = latest if start == "now" else int(start)
        if sequence > latest:
            raise ConfigurationError(f"sequence {sequence} is not in the feed yet: its latest is {latest}")
        if sequence == 0:
            return Position(sequence=0)
        entries = await self._pages.read_bare(Window(offset=sequence - 1, limit=1))
        return Position(sequence=sequence, last=last_entry(entries, None))

    def _settled(self) -> int:
        """The highest `latest` that was read at least `gap_settle_s` ago; no hole up to it will fill."""
        before = self._clock() - self._settings.gap_settle_s
        settled = 0
        while self._seen and self._seen[0][0] <= before:
            settled = self._seen[0][1]
            if len(self._seen) == 1 or self._seen[1][0] > before:
                break
            self._seen.popleft()
        return settled

    def _wait_for_hole_s(self, settled: int) -> float:
        first_s = next(read_s for read_s, latest in self._seen if latest > settled)
        left_s = first_s + self._settings.gap_settle_s - self._clock()
        return max(_LEAST_WAIT_S, min(self._settings.poll_interval_s, left_s))


def advance(
    after: int, entries: Sequence[FeedEntry], *, latest: int, limit: int, settled: int
) -> tuple[list[FeedEntry], int]:
    """The entries of a page that may be published, and the sequence reached with them.

    No further than `latest`, and over a hole only as far as `settled`. Raises BrokenContractError when the page does
    not begin after `after`: the server does not speak this version of the API.
    """
    taken: list[FeedEntry] = []
    reached = after
    for entry in sorted(entries, key=lambda one: one.event.sequence):
        sequence = entry.event.sequence
        if sequence <= after:
            raise BrokenContractError(
                f"the DICOM server gave sequence {sequence} when asked for those after {after}: "
                "that is not change feed API v1; check DICOMCAST_FEED__API_VERSION"
            )
        if sequence > latest or (sequence > reached + 1 and sequence - 1 > settled):
            return taken, reached
        taken.append(entry)
        reached = sequence
    return taken, reached if taken else max(after, min(after + limit, latest, settled))


def reset_error(what: str) -> BrokenContractError:
    """The feed is not the one that was read."""
    return BrokenContractError(
        f"this is not the change feed that was read so far: {what}. The DICOM server was rebuilt, restored from a "
        "backup, or is another one. Nothing was moved. A rebuilt or other server is a new feed: give it a new "
        "DICOMCAST_FEED__NAME, and choose where to go on with `dicomcast-producer cursor set --to ...`"
    )
