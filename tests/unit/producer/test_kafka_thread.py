"""The loop and its Kafka thread: what is told of a call that takes long."""

import threading
from collections.abc import Sequence

import pytest
from dicomcast_producer.__main__ import _health
from dicomcast_producer.bridge import Bridge
from dicomcast_producer.config import ProducerSection
from dicomcast_producer.cursor import Cursor
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.errors import ClientBrokenError, RetryableError, TransactionTimedOutError
from dicomcast_producer.topic_check import TopicState
from dicomcast_runtime.health import LoopBeat

from tests.fakes.dicom_server import DicomServer
from tests.fakes.kafka_topic import FakePublisher, FakeTopic
from tests.unit.producer.feeds import fill
from tests.unit.producer.test_bridge import Producers, SlowPublisher


@pytest.fixture
def producers(dicom: DicomServer) -> Producers:
    return Producers(dicom, FakeTopic())


def test_a_wait_inside_of_a_transaction_is_told_too(producers: Producers) -> None:
    """As when a broker goes away after it took the events: nothing is raised until it is back."""
    fill(producers.dicom.store, [1, 2])
    entered, leave = threading.Event(), threading.Event()

    class Waiting(FakePublisher):
        def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
            if entries and not entered.is_set():
                self.waiting = "timed out"
                entered.set()
                leave.wait(30)
                self.waiting = None
            super().publish(entries, cursor)

    seen: list[tuple[bool, str | None, float | None]] = []
    late_s: list[float] = []

    def look(bridge: Bridge) -> None:
        if entered.is_set() and not leave.is_set():
            value = producers.metrics.registry.get_sample_value
            health = _health(bridge, LoopBeat())
            gauge = value("dicomcast_waiting", {"peer": "kafka"})
            seen.append((health.report(health.ready).ok, bridge.waiting_for("kafka"), gauge))
            late_s.append(value("dicomcast_feed_lag_seconds") or 0.0)
            if len(seen) == 3:
                leave.set()

    producers.run(Waiting(producers.topic), while_running=look)
    assert set(seen) == {(False, "timed out", 1.0)}
    assert 0 < late_s[0] < late_s[1] < late_s[2]
    value = producers.metrics.registry.get_sample_value
    assert (value("dicomcast_waiting", {"peer": "kafka"}), value("dicomcast_feed_lag_seconds")) == (0, 0)


def test_the_watchdog_sees_a_call_that_was_asked_for_while_another_was_under_way(producers: Producers) -> None:
    fill(producers.dicom.store, [1])
    publishing, entered, leave = threading.Event(), threading.Event(), threading.Event()

    class Checked(FakeTopic):
        def state(self) -> TopicState:
            if publishing.is_set() and not leave.is_set():  # it had to wait for the transaction
                entered.set()
                leave.wait(30)
            return super().state()

    class Slow(SlowPublisher):
        def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
            if entries:
                publishing.set()
            super().publish(entries, cursor)

    producers.topic = Checked()
    beats: list[float] = []

    def look(bridge: Bridge) -> None:
        if entered.is_set():
            beats.append(bridge.kafka_beat_at_s)
        if len(beats) == 3:
            leave.set()

    producers.run(Slow(producers.topic), while_running=look, section=ProducerSection(identity_check_s=0.001))
    assert len(set(beats[:3])) == 1


@pytest.mark.parametrize("late", [TransactionTimedOutError("late"), ClientBrokenError("late")])
def test_a_cursor_that_stays_unreadable_after_a_transaction_timed_out_ends_the_process(
    producers: Producers, monkeypatch: pytest.MonkeyPatch, late: TransactionTimedOutError | ClientBrokenError
) -> None:
    """As when the broker lost the transaction's end there: the next process fences first, which closes it."""
    monkeypatch.setattr("dicomcast_producer.bridge._ENDED_S", -14.0)
    fill(producers.dicom.store, range(1, 4))

    class LeavesOneOpen(FakePublisher):
        def fence(self) -> None:
            producers.topic.read_failures.clear()
            super().fence()

        def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
            if entries:
                producers.topic.read_failures.extend([RetryableError("another transaction is open there")] * 1000)
                raise late
            super().publish(entries, cursor)

    section = ProducerSection(transaction_timeout_s=15)
    with pytest.raises(type(late), match="late"):
        producers.run(LeavesOneOpen(producers.topic), section=section)
    assert producers.topic.read_failures
    producers.topic.read_failures.clear()
    producers.run(instance="b")
    assert producers.topic.sequences == [1, 2, 3]


def test_a_cursor_that_can_be_read_again_in_time_goes_on(producers: Producers) -> None:
    fill(producers.dicom.store, range(1, 4))
    late = [TransactionTimedOutError("late")]

    class TimesOut(FakePublisher):
        def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
            if entries and late:
                producers.topic.read_failures += [RetryableError("another transaction is open there")] * 2
                raise late.pop()
            super().publish(entries, cursor)

    producers.run(TimesOut(producers.topic))
    assert producers.topic.sequences == [1, 2, 3]
