"""The publisher, when no broker answers."""

import threading

import pytest
from dicomcast_producer import publisher
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.publisher import KafkaPublisher
from dicomcast_runtime.errors import DependencyError
from dicomcast_runtime.kafka_settings import KafkaSettings

from tests.fakes.processes import eventually


def test_a_call_that_waits_for_kafka_says_so_and_can_be_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "_TRY_S", 0.1)
    waiting = KafkaPublisher(
        KafkaSettings.model_validate({"bootstrap.servers": "127.0.0.1:9", "log_level": 0}),
        "events",
        transaction_timeout_s=15,
        max_record_bytes=100_000,
        metrics=ProducerMetrics(),
    )
    errors: list[BaseException] = []

    def fence() -> None:
        try:
            waiting.fence()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=fence, daemon=True)
    thread.start()
    eventually(lambda: waiting.beat_at_s > 0)
    seen = waiting.beat_at_s
    eventually(lambda: waiting.beat_at_s > seen)
    assert waiting.waiting is not None
    waiting.interrupt(within_s=0)
    thread.join(60)
    assert waiting.waiting is None
    assert [type(error) for error in errors] == [DependencyError]
