"""The end of a Kafka client is waited for by nobody: librdkafka may join a thread that never ends."""

import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from dicomcast_runtime import kafka_clients
from dicomcast_runtime.kafka_clients import AdminClient, Producer, ReadingConsumer

CONFIG = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0, "group.id": "g"}


class EndsWithIt:
    """Notes the thread in which its owner is destroyed."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.thread = 0

    def holder(self) -> "Holder":
        return Holder(self)


class Holder:
    def __init__(self, owner: EndsWithIt) -> None:
        self._owner = owner

    def __del__(self) -> None:
        self._owner.thread = threading.get_ident()
        self._owner.ended.set()


@pytest.mark.parametrize("make", [AdminClient, Producer, ReadingConsumer])
def test_a_client_that_is_let_go_of_ends_on_a_thread_of_its_own(make: Callable[[dict[str, Any]], Any]) -> None:
    note = EndsWithIt()
    client = make(CONFIG)
    client.held = note.holder()
    del client
    assert note.ended.wait(30)
    assert note.thread != threading.get_ident()


def test_a_consumer_that_does_not_close_is_left_to_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_clients, "_CLOSE_S", 0.05)
    let, closed = threading.Event(), threading.Event()

    class Stuck(confluent_kafka.Consumer):
        def close(self) -> None:
            let.wait(30)
            super().close()
            closed.set()

    class Reading(ReadingConsumer, Stuck):
        pass

    Reading(CONFIG).close()
    assert not closed.is_set()
    let.set()
    assert closed.wait(30)


def test_a_consumer_is_closed_when_it_says_so() -> None:
    consumer = ReadingConsumer(CONFIG)
    consumer.close()
    with pytest.raises(RuntimeError, match="closed"):
        consumer.poll(0)
