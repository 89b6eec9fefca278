"""The loop, from the sandbox's change feed to a topic that fences, refuses and goes away."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from dicomcast_producer.bridge import Bridge, FeedIdentity
from dicomcast_producer.by_sequence import SequenceReader
from dicomcast_producer.change_feed import ChangeFeed
from dicomcast_producer.config import ProducerSection
from dicomcast_producer.cursor import Cursor
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.errors import ClientBrokenError, RetryableError, TransactionTimedOutError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_runtime.errors import BrokenContractError, FencedError

from tests.fakes.dicom_server import DicomServer
from tests.fakes.kafka_topic import FakePublisher, FakeTopic
from tests.unit.producer.feeds import feed_settings, fill


class SlowPublisher(FakePublisher):
    """A transaction takes as long as several pages."""

    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        time.sleep(0.3)
        super().publish(entries, cursor)


@dataclass(slots=True)
class Producers:
    """Producers of one topic, reading the sandbox's server."""

    dicom: DicomServer
    topic: FakeTopic
    metrics: ProducerMetrics = field(default_factory=ProducerMetrics)
    """Those of the last run."""

    def run(
        self,
        publisher: FakePublisher | None = None,
        *,
        while_running: Callable[[Bridge], object] = lambda _: None,
        exit_when_idle: bool = True,
        instance: str = "a",
        section: ProducerSection | None = None,
        **feed: object,
    ) -> None:
        """Until it ends by itself; `while_running` is called every few milliseconds."""

        metrics = self.metrics = ProducerMetrics()

        async def run() -> None:
            settings = feed_settings(url=self.dicom.base_url, **feed)
            client = ChangeFeed(settings, metrics)
            bridge = Bridge(
                feed=FeedIdentity.of(settings),
                reader_at=lambda position: SequenceReader(client, settings, position),
                publisher=publisher or FakePublisher(self.topic),
                cursors=self.topic,
                topic=self.topic,
                settings=section or ProducerSection(),
                instance=instance,
                metrics=metrics,
                exit_when_idle=exit_when_idle,
            )
            running = asyncio.create_task(bridge.run())
            try:
                while not running.done():
                    while_running(bridge)
                    await asyncio.wait({running}, timeout=0.01)
                await running
            finally:
                await client.close()

        asyncio.run(asyncio.wait_for(run(), 60))


class Interfered(FakePublisher):
    """Something happens, once, right before the first transaction that has events."""

    def __init__(self, topic: FakeTopic, happens: Callable[[FakePublisher], object]) -> None:
        super().__init__(topic)
        self._happens = [happens]

    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        if entries and self._happens:
            self._happens.pop()(self)
        super().publish(entries, cursor)


@pytest.fixture
def producers(dicom: DicomServer) -> Producers:
    return Producers(dicom, FakeTopic())


def test_everything_once_and_in_order(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 351))
    producers.run()
    assert producers.topic.sequences == list(range(1, 351))
    assert producers.topic.cursor is not None
    assert producers.topic.cursor.position.sequence == 350


def test_a_restart_goes_on_where_the_cursor_is(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 11))
    producers.run()
    fill(producers.dicom.store, range(11, 21))
    producers.run(instance="b")
    assert producers.topic.sequences == list(range(1, 21))


def test_the_cursor_is_read_after_fencing(producers: Producers) -> None:
    """An older instance could still commit between the two if it were the other way round."""
    fill(producers.dicom.store, [1])
    producers.run()
    assert producers.topic.read_at_epochs == [1]


def test_a_cursor_that_cannot_be_read_is_not_zero(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 11))
    producers.run()
    producers.topic.read_failures += [RetryableError("away")] * 2
    producers.run(instance="b")
    assert producers.topic.sequences == list(range(1, 11))


def test_an_aborted_transaction_is_published_again_with_its_cursor(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 11))
    publisher = FakePublisher(producers.topic)
    publisher.failures += [RetryableError("aborted")] * 3
    producers.run(publisher)
    assert producers.topic.sequences == list(range(1, 11))


def test_the_cursor_never_moves_without_the_events(producers: Producers) -> None:
    """Whenever the process dies, what the cursor says was published is on the topic."""
    fill(producers.dicom.store, range(1, 301))
    publisher = FakePublisher(producers.topic)
    seen = []

    def look(_: Bridge) -> None:
        cursor = producers.topic.cursor
        seen.append((len(producers.topic.committed), cursor.position.sequence if cursor else 0))

    producers.run(publisher, while_running=look, section=ProducerSection(transaction_events=10), page_size=10)
    assert all(published == sequence for published, sequence in seen)
    starts = [sum(producers.topic.transactions[:n]) for n in range(1, len(producers.topic.transactions) + 1)]
    assert [cursor.position.sequence for cursor in producers.topic.cursors] == starts


def test_the_watchdog_sees_a_call_to_kafka_that_does_not_look_round(producers: Producers) -> None:
    fill(producers.dicom.store, [1])
    entered, leave = threading.Event(), threading.Event()

    class Waiting(FakePublisher):
        def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
            if entries:
                entered.set()
                leave.wait(30)
            super().publish(entries, cursor)

    publisher = Waiting(producers.topic)
    beats: list[float] = []

    def look(bridge: Bridge) -> None:
        if not entered.is_set():
            assert bridge.kafka_beat_at_s > 0
        elif len(beats) < 3:
            beats.append(bridge.kafka_beat_at_s)
        else:  # it looks round, and is let go
            publisher.beat_at_s = beats[0] + 1
            if not leave.is_set():
                assert bridge.kafka_beat_at_s == beats[0] + 1
            leave.set()

    producers.run(publisher, while_running=look)
    assert len(beats) == 3
    assert len(set(beats)) == 1
    assert producers.topic.sequences == [1]


def test_a_gap_moves_the_cursor_without_events(producers: Producers) -> None:
    fill(producers.dicom.store, [1])
    producers.dicom.store.skip_sequences(500)
    fill(producers.dicom.store, [2])
    producers.run()
    assert producers.topic.sequences == [1, 502]


def test_a_second_instance_ends_the_first(producers: Producers) -> None:
    fill(producers.dicom.store, [1])

    first = FakePublisher(producers.topic)
    second = FakePublisher(producers.topic)

    def take_over(_: Bridge) -> None:
        if producers.topic.sequences == [1] and producers.topic.epoch == 1:
            second.fence()
            fill(producers.dicom.store, [2])

    with pytest.raises(FencedError):
        producers.run(first, while_running=take_over, exit_when_idle=False)
    assert producers.topic.sequences == [1]


@pytest.mark.parametrize("victim", [TransactionTimedOutError, ClientBrokenError])
def test_a_transaction_or_client_that_fell_victim_to_an_outage_begins_anew(
    producers: Producers, victim: type[TransactionTimedOutError | ClientBrokenError]
) -> None:
    fill(producers.dicom.store, range(1, 4))
    producers.run(Interfered(producers.topic, lambda publisher: publisher.failures.append(victim("late"))))
    assert producers.topic.sequences == [1, 2, 3]
    assert producers.topic.epoch == 2


def test_a_commit_that_happened_before_the_fence_is_not_made_again(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))
    late = TransactionTimedOutError("late")
    producers.run(Interfered(producers.topic, lambda publisher: publisher.lost_answers.append(late)))
    assert producers.topic.sequences == [1, 2, 3]
    assert producers.topic.epoch == 2


def test_a_timed_out_transaction_after_a_takeover_ends(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))

    def taken_over(publisher: FakePublisher) -> None:
        assert producers.topic.cursor is not None
        producers.topic.cursor = dataclasses.replace(producers.topic.cursor, instance="another")
        publisher.failures.append(TransactionTimedOutError("late"))

    with pytest.raises(TransactionTimedOutError):
        producers.run(Interfered(producers.topic, taken_over))
    assert producers.topic.sequences == []


@pytest.mark.parametrize("wrong", ["url", "api", "partitions", "topic"])
def test_another_identity_is_refused(producers: Producers, wrong: str) -> None:
    fill(producers.dicom.store, range(1, 4))
    producers.run()
    assert producers.topic.cursor is not None
    identity = producers.topic.cursor.identity
    if wrong == "url":
        other = dataclasses.replace(identity, url="http://elsewhere")
    elif wrong == "api":
        other = dataclasses.replace(identity, api_version="v2")
    elif wrong == "partitions":
        producers.topic.partitions, other = 5, identity
    else:
        producers.topic.topic_id, other = "topic-2", identity
    producers.topic.cursor = dataclasses.replace(producers.topic.cursor, identity=other)
    with pytest.raises(BrokenContractError, match="cursor set"):
        producers.run()
    assert producers.topic.sequences == [1, 2, 3]


def test_a_partition_count_that_changes_meanwhile_stops(producers: Producers) -> None:
    fill(producers.dicom.store, [1])

    def grow(_: Bridge) -> None:
        if producers.topic.committed:
            producers.topic.partitions = 5

    with pytest.raises(BrokenContractError, match="partitions: 4, now 5"):
        producers.run(
            while_running=grow,
            exit_when_idle=False,
            section=ProducerSection(identity_check_s=0.2),
            poll_interval_s=0.05,
        )


def test_a_server_reset_meanwhile_stops(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))

    def reset(_: Bridge) -> None:
        if len(producers.topic.committed) == 3:
            producers.dicom.store.reset()

    with pytest.raises(BrokenContractError, match="latest sequence is 0"):
        producers.run(while_running=reset, exit_when_idle=False)


def test_a_server_that_comes_back_as_another_one_is_found_at_once(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))

    as_it_was = [True]

    def rebuild(_: Bridge) -> None:
        if len(producers.topic.committed) == 3 and as_it_was:
            as_it_was.clear()
            producers.dicom.faults.answer(503)
            producers.dicom.store.reset()
            fill(producers.dicom.store, range(1, 9), study="1.2.9")

    with pytest.raises(BrokenContractError, match="entry 3 is another one"):
        producers.run(while_running=rebuild, exit_when_idle=False)
    assert producers.topic.sequences == [1, 2, 3]


def test_an_outage_of_the_feed_is_waited_out(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))
    producers.dicom.faults.answer(503, times=2)
    producers.run()
    assert producers.topic.sequences == [1, 2, 3]


def test_stop_ends_at_once_and_lets_kafka_finish(producers: Producers) -> None:
    publisher = FakePublisher(producers.topic)
    producers.run(publisher, while_running=lambda bridge: bridge.stop(), exit_when_idle=False)
    assert publisher.interrupted_within_s == 20.0


def test_stop_while_the_feed_hangs(producers: Producers) -> None:
    fill(producers.dicom.store, [1])
    producers.dicom.faults.hang(hang_s=30.0)

    def stop(bridge: Bridge) -> None:
        if producers.topic.epoch == 1:
            bridge.stop()

    producers.run(while_running=stop, exit_when_idle=False, timeout_s=30.0)


@pytest.mark.parametrize(("start", "first"), [("beginning", 1), ("now", None), ("2", 3)])
def test_without_a_cursor_the_start_decides_and_is_kept(producers: Producers, start: str, first: int | None) -> None:
    fill(producers.dicom.store, range(1, 5))
    producers.run(start=start)
    assert producers.topic.sequences == ([] if first is None else list(range(first, 5)))
    fill(producers.dicom.store, [5])
    producers.run(start="beginning", instance="b")
    assert producers.topic.sequences[-1] == 5
    assert len(set(producers.topic.sequences)) == len(producers.topic.sequences)


def test_pages_that_come_during_a_transaction_share_the_next_one(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 201))
    slow = SlowPublisher(producers.topic)
    producers.run(slow, page_size=10)
    assert producers.topic.sequences == list(range(1, 201))
    assert len(producers.topic.transactions) < 18


def test_metrics_follow_the_feed(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 31))
    producers.run()
    value = producers.metrics.registry.get_sample_value
    assert value("dicomcast_feed_latest_sequence") == 30
    assert value("dicomcast_feed_cursor_sequence") == 30
    assert value("dicomcast_feed_lag_events") == 0
    assert value("dicomcast_feed_lag_seconds") == 0
    assert value("dicomcast_feed_requests_total", {"method": "GET", "status": "200"}) > 0


def test_what_is_waited_for_is_told_and_then_forgotten(producers: Producers) -> None:
    fill(producers.dicom.store, [1])
    publisher = FakePublisher(producers.topic)
    publisher.failures += [RetryableError("aborted")] * 2
    seen: list[tuple[str | None, float | None]] = []
    bridges: list[Bridge] = []

    def told(bridge: Bridge) -> tuple[str | None, float | None]:
        value = producers.metrics.registry.get_sample_value("dicomcast_waiting", {"peer": "kafka"})
        return bridge.waiting_for("kafka"), value

    def look(bridge: Bridge) -> None:
        bridges.append(bridge)
        seen.append(told(bridge))

    producers.run(publisher, while_running=look)
    assert seen[0] == (None, 0.0)
    assert ("aborted", 1.0) in seen
    assert told(bridges[-1]) == (None, 0.0)  # it may end too soon after that for a last look
