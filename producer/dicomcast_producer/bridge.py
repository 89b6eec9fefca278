"""THE LOOP of the producer: from the change feed to the topic, each change once."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog
from dicomcast_runtime.errors import BrokenContractError

from .backoff import Backoff
from .config import FeedSettings, ProducerSection
from .cursor import Cursor, Identity
from .entry import FeedEntry
from .errors import ClientBrokenError, RetryableError, TransactionTimedOutError
from .metrics import ProducerMetrics
from .position import Idle, Page, Position
from .topic_check import TopicState

__all__ = ["Bridge", "FeedIdentity", "require_same"]

T = TypeVar("T")
_log = structlog.get_logger()
_NEVER: Final = float("-inf")
_ANEW_S: Final = 0.5
_ENDED_S: Final = 30.0
"""How long after its timeout a transaction may be open: the coordinator looks each 10 s, then come the markers."""


class Reader(Protocol):
    """The feed after a position."""

    async def next_page(self) -> Page | Idle: ...
    async def check(self) -> None: ...
    async def start_position(self, start: str) -> Position: ...


class Publisher(Protocol):
    """The topic. Its calls block."""

    @property
    def beat_at_s(self) -> float:
        """When a call that waits for Kafka last looked (time.monotonic)."""

    @property
    def waiting(self) -> str | None:
        """Why a call waits for Kafka just now."""

    def fence(self) -> None: ...
    def close_older(self, cursor: Cursor | None) -> None: ...
    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None: ...
    def interrupt(self, *, within_s: float) -> None: ...


class CursorSource(Protocol):
    """The committed cursor. Its call blocks."""

    def read(self) -> Cursor | None: ...


class TopicSource(Protocol):
    """The topic's partition count and id. Its call blocks."""

    def state(self) -> TopicState: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedIdentity:
    """What is configured of the feed that is read."""

    name: str
    url: str
    api_version: str
    start: str

    @classmethod
    def of(cls, settings: FeedSettings) -> "FeedIdentity":
        return cls(
            name=settings.name,
            url=settings.url.rstrip("/"),
            api_version=settings.api_version,
            start=settings.start,
        )

    def with_topic(self, topic: TopicState) -> Identity:
        """What the cursor belongs to."""
        return Identity(
            feed=self.name,
            url=self.url,
            api_version=self.api_version,
            partitions=topic.partitions,
            topic_id=topic.topic_id,
        )


class _Stopped(Exception):
    """`stop` was called."""


class Bridge:
    """The producer's one loop and the state around it."""

    def __init__(
        self,
        *,
        feed: FeedIdentity,
        reader_at: Callable[[Position], Reader],
        publisher: Publisher,
        cursors: CursorSource,
        topic: TopicSource,
        settings: ProducerSection,
        instance: str,
        metrics: ProducerMetrics,
        exit_when_idle: bool = False,
    ) -> None:
        self._feed = feed
        self._reader_at = reader_at
        self._publisher = publisher
        self._cursors = cursors
        self._topic = topic
        self._settings = settings
        self._instance = instance
        self._metrics = metrics
        self._exit_when_idle = exit_when_idle
        self._stopping = asyncio.Event()
        self._published = asyncio.Event()
        self._checked_at = _NEVER
        self._caught_up = False
        self._waiting: dict[str, str] = {}
        metrics.watch_waiting(self.waiting_for)
        self.started = False
        """Whether the cursor has been taken over: this is the one producer of the topic."""
        self._called_at_s: float | None = None
        # Kafka's calls block, and a transaction belongs to one thread.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka")

    @property
    def kafka_beat_at_s(self) -> float:
        """When the Kafka thread was last seen to get on (time.monotonic), for the watchdog: now while it has nothing to
        do. No call to Kafka waits long without looking round."""
        called_at_s = self._called_at_s
        return time.monotonic() if called_at_s is None else max(called_at_s, self._publisher.beat_at_s)

    def waiting_for(self, peer: str) -> str | None:
        """Why this peer (feed, kafka) is waited for; None when it is not. From any thread."""
        inside = self._publisher.waiting if peer == "kafka" else None
        return inside or self._waiting.get(peer)

    def stop(self) -> None:
        """Ends `run` once the transaction in flight is committed."""
        self._stopping.set()
        self._publisher.interrupt(within_s=self._settings.drain_s)

    async def run(self) -> None:
        """Returns when stopped, or when the feed is drained and that was asked for. Raises StopError.

        1. fence an older instance, so that it can commit nothing after what is read next
        2. read the cursor; without one, the start that was configured
        3. check that it belongs to this feed and this topic, and claim it for this instance
        4. read the next pages, while the last ones are being published
        5. publish their events and the cursor in one transaction; only that moves the cursor
        """
        try:
            while True:
                try:
                    cursor = await self._take_over()  # 1, 2, 3
                    reader = self._reader_at(cursor.position)
                    await self._carry(reader, cursor.identity)  # 4, 5
                    return
                except (TransactionTimedOutError, ClientBrokenError) as late:
                    await self._require_own_cursor(late)
        except _Stopped:
            return
        finally:
            self._thread.shutdown(wait=True)

    async def _take_over(self) -> Cursor:
        identity = await self._identity()  # first, for one clear error when there is no such topic
        await self._ask_kafka(self._publisher.fence)  # 1
        cursor = await self._ask_kafka(self._cursors.read)  # 2
        await self._ask_kafka(lambda: self._publisher.close_older(cursor))
        if cursor is None:
            _log.info("cursor.missing", start=self._feed.start)
            reader = self._reader_at(Position(sequence=0))
            position = await self._ask_feed(lambda: reader.start_position(self._feed.start))
        else:
            position = cursor.position
            require_same(cursor.identity, identity)  # 3
            await self._ask_feed(self._reader_at(position).check)
        claimed = Cursor(identity=identity, position=position, instance=self._instance)
        await self._publish((), claimed)
        self.started = True
        self._checked_at = time.monotonic()
        _log.info("producer.started", feed=identity.feed, sequence=position.sequence, partitions=identity.partitions)
        return claimed

    async def _carry(self, reader: Reader, identity: Identity) -> None:
        self._published.set()
        reading = asyncio.create_task(self._read(reader, identity))
        try:
            while pages := await self._or_stop(reading):
                reading = asyncio.create_task(self._read(reader, identity))  # 4
                entries = [entry for page in pages for entry in page.entries]
                cursor = Cursor(identity=identity, position=pages[-1].position, instance=self._instance)
                await self._publish(entries, cursor)  # 5
                _log.debug("transaction.committed", events=len(entries), sequence=cursor.position.sequence)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, reader: Reader, identity: Identity) -> list[Page]:
        """The pages for one transaction: what can be read while the one before is being published, at least one.

        Empty when the feed is drained and the producer is to end then.
        """
        pages: list[Page] = []
        while True:
            found = await self._ask_feed(lambda: self._checked_page(reader, identity))
            if isinstance(found, Page):
                pages.append(found)
                if self._published.is_set() or self._is_full(pages):
                    return pages
            elif pages or (found.drained and self._exit_when_idle):
                return pages
            else:
                self._note_idle(found)
                await self._sleep(found.wait_s)

    async def _publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        self._published.clear()
        await self._ask_kafka(lambda: self._publisher.publish(entries, cursor))
        self._published.set()
        self._metrics.note_position(cursor.position)

    async def _checked_page(self, reader: Reader, identity: Identity) -> Page | Idle:
        """The next page; every `identity_check_s` and after an outage only if feed and topic are still the same."""
        if time.monotonic() - self._checked_at >= self._settings.identity_check_s:
            await reader.check()
            require_same(identity, await self._identity())
            self._checked_at = time.monotonic()
        return await reader.next_page()

    async def _identity(self) -> Identity:
        return self._feed.with_topic(await self._ask_kafka(self._topic.state))

    async def _require_own_cursor(self, late: TransactionTimedOutError | ClientBrokenError) -> None:
        """Goes on after a transaction or client that merely fell victim to an outage. Raises `late` otherwise.

        Also when the cursor stays unreadable: a transaction whose end the broker lost is closed by `fence` alone, and
        whether another instance has to be spared that cannot be told. The next process fences first.
        """
        limit_s = self._settings.transaction_timeout_s + _ENDED_S
        try:
            cursor = await self._patiently("kafka", lambda: self._in_thread(self._cursors.read), limit_s=limit_s)
        except RetryableError:
            raise late from None
        if cursor is None or cursor.instance != self._instance:
            raise late
        _log.warning("transaction.timed_out", sequence=cursor.position.sequence)
        await self._sleep(_ANEW_S)

    async def _ask_feed(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patiently("feed", lambda: self._or_stop(call()))

    async def _ask_kafka(self, call: Callable[[], T]) -> T:
        return await self._patiently("kafka", lambda: self._in_thread(call))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._watched(call))

    def _watched(self, call: Callable[[], T]) -> T:
        """In the Kafka thread: one call at a time, though several may have been asked for."""
        self._called_at_s = time.monotonic()
        try:
            return call()
        finally:
            self._called_at_s = None

    async def _patiently(self, peer: str, call: Callable[[], Awaitable[T]], *, limit_s: float = math.inf) -> T:
        """Makes the call until it is answered, with growing waits. One log line when it begins, one when it is over.

        Raises what it last met once `limit_s` have passed since the first failure.
        """
        backoff, since = Backoff(), None
        while True:
            try:
                answer = await call()
            except RetryableError as error:
                self._checked_at = _NEVER  # what comes back may not be what went away
                if since is None:
                    since = time.monotonic()
                    _log.warning(f"{peer}.waiting", reason=str(error))
                left_s = limit_s - (time.monotonic() - since)
                if left_s < 0:
                    raise
                self._waiting[peer] = str(error)
                await self._sleep(min(backoff.wait_s(error.retry_after_s), left_s))
            else:
                if since is not None:
                    _log.info(f"{peer}.answers_again", after_s=round(time.monotonic() - since, 1))
                    self._waiting.pop(peer, None)
                return answer

    async def _sleep(self, wait_s: float) -> None:
        await self._or_stop(asyncio.sleep(wait_s))

    async def _or_stop(self, awaitable: Awaitable[T]) -> T:
        """The answer, or _Stopped as soon as `stop` is called."""
        asked = asyncio.ensure_future(awaitable)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({asked, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                raise _Stopped
            return asked.result()
        finally:
            stopping.cancel()
            asked.cancel()

    def _is_full(self, pages: Sequence[Page]) -> bool:
        entries = [entry for page in pages for entry in page.entries]
        size = sum(len(entry.event.metadata or "") for entry in entries)
        return len(entries) >= self._settings.transaction_events or size >= self._settings.transaction_bytes

    def _note_idle(self, idle: Idle) -> None:
        if idle.drained and not self._caught_up:
            self._caught_up = True
            _log.info("feed.caught_up")


def require_same(cursors: Identity, ours: Identity) -> None:
    """Raises BrokenContractError when the cursor belongs to another feed or topic."""
    differences = ours.differences(cursors)
    if differences:
        raise BrokenContractError(
            f"the cursor belongs to another feed or topic ({'; '.join(differences)}). Going on from its sequence could "
            "lose or double changes, and with another partition count the events of a study would lose their order. "
            "If the change is not meant, correct DICOMCAST_FEED__NAME, __URL, __API_VERSION or DICOMCAST_TOPIC__NAME. "
            "If it is, `dicomcast-producer cursor set --to ...` takes it over; a rebuilt or other server also needs a "
            "new DICOMCAST_FEED__NAME, another partition count a new topic (DICOMCAST_TOPIC__NAME)"
        )
