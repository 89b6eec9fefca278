"""A change feed of API v2 whose clock stands still unless told, and whose rows say what a test wants them to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dicomcast_producer.change_feed import ChangeFeed, Latest, Window
from dicomcast_producer.entry import FeedEntry, parse_entry, parse_page
from dicomcast_producer.errors import PoisonedPageError

__all__ = ["METADATA", "TimedFeed"]

METADATA = '{"00080018":{"vr":"UI"}}'


class TimedFeed(ChangeFeed):
    """Rows in the order (time, sequence); what it answers is JSON that is parsed as the real server's is."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.wrong_by = timedelta()
        """How far the `Date` of its answers is ahead."""
        self.broken: int | None = None
        """The sequence of the row that a page with metadata fails on."""
        self.before_page: Callable[[Window], None] = lambda _: None
        self.asked: list[Window] = []
        self._rows: list[tuple[datetime, int, dict[str, object]]] = []

    @property
    def name(self) -> str:
        return "pacs"

    def put(self, sequence: int, age_s: float, **said: object) -> None:
        """A row of so many seconds ago; `said` takes the place of what its fields would be."""
        self._rows.append((self.now - timedelta(seconds=age_s), sequence, said))
        self._rows.sort(key=lambda row: row[:2])

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def latest(self) -> Latest:
        entry = parse_entry(_json(self._rows[-1]), feed="pacs") if self._rows else None
        return Latest(entry=entry, server_time=self.now + self.wrong_by)

    async def page(self, window: Window, *, metadata: bool) -> tuple[FeedEntry, ...]:
        self.asked.append(window)
        self.before_page(window)
        first, end = window.start or datetime.min.replace(tzinfo=UTC), window.end or datetime.max.replace(tzinfo=UTC)
        inside = [row for row in self._rows if first <= row[0] < end]
        rows = inside[window.offset : window.offset + window.limit]
        if metadata and any(sequence == self.broken for _, sequence, _ in rows):
            raise PoisonedPageError("it answered 500")
        return parse_page(b"[%b]" % b",".join(map(_json, rows)), feed="pacs")

    async def metadata(self, event: object) -> str:
        return METADATA

    async def close(self) -> None:
        pass


def _json(row: tuple[datetime, int, dict[str, object]]) -> bytes:
    at, sequence, said = row
    fields = {
        "sequence": sequence,
        "studyInstanceUid": "1.2",
        "seriesInstanceUid": "1.2.3",
        "sopInstanceUid": f"1.2.3.{sequence}",
        "action": "Create",
        "state": "Current",
        "timestamp": at.isoformat(),
        "metadata": json.loads(METADATA),
    }
    return json.dumps(fields | said).encode()
