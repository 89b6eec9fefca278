"""The last stable offsets, when no broker answers."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.stable_offsets import StableOffsets
from dicomcast_runtime.kafka_settings import KafkaSettings


def test_a_question_that_the_client_forgets_is_asked_again_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer asks after each transaction: waiting for good, it would be a feed that stands still."""
    made: list[object] = []

    class Client:
        def __init__(self, config: dict[str, Any]) -> None:
            made.append(self)

        def list_offsets(
            self, wanted: dict[TopicPartition, Any], **options: Any
        ) -> dict[TopicPartition, "Future[Any]"]:
            return {place: Future() for place in wanted}

    monkeypatch.setattr("dicomcast_producer.stable_offsets.AdminClient", Client)
    offsets = StableOffsets(KafkaSettings(bootstrap_servers="127.0.0.1:9"), timeout_s=0.05)
    for asked in (1, 2):
        with pytest.raises(RetryableError, match="asking for the last stable offsets"):
            offsets.behind([("events", 0)])
        assert len(made) == asked
