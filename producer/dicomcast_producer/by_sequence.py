"""Reading the feed in the order of its sequences: API v1.

`offset` is an exclusive sequence and `limit` a window of sequences, so an empty page is a gap, not the end. Sequences
are given out before their rows can be seen: a hole may still fill.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from dicomcast_runtime.errors import BrokenContractError, ConfigurationError

from .change_feed import ChangeFeed, Window
from .config import FeedSettings
from .entry import FeedEntry
from .page_reader import PageReader
from .position import Idle, Page, Position, last_entry

__all__ = ["SequenceReader", "advance", "reset_error"]

_LEAST_WAIT_S: Final = 0.05


class SequenceReader:
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
        self._pages = PageReader(feed, clock=clock)
        self._settings = settings
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        """When which `latest` was read, over the last `gap_settle_s` and the one before."""
        self.position = position

    async def next_page(self) -> Page | Idle:
        """Entries in sequence order, none of them beyond the `latest` that was read before them.

        Raises RetryableError, or BrokenContractError when the feed has fewer entries than were read.
        """
        latest = (await self._feed.latest()).sequence
        self._seen.append((self._clock(), latest))
        settled = self._settled()
        after = self.position.sequence
        if latest < after:
            raise reset_error(f"its latest sequence is {latest}, and {after} was read before")
        if latest == after:
            return Idle(wait_s=self._settings.poll_interval_s, drained=True)
        entries = await self._pages.read(Window(offset=after, limit=self._settings.page_size))
        taken, reached = advance(after, entries, latest=latest, limit=self._settings.page_size, settled=settled)
        if reached == after:
            return Idle(wait_s=self._wait_for_hole_s(settled), drained=False)
        self.position = Position(sequence=reached, last=last_entry(taken, self.position.last))
        return Page(entries=tuple(taken), position=self.position)

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
