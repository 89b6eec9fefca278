"""Calls into the Kafka client, in which it calls back."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from dicomcast_producer.served import served


def test_a_fatal_error_met_by_a_delivery_report_is_the_one_that_is_raised() -> None:
    fatal = KafkaException(KafkaError(KafkaError._FENCED))

    def flush() -> int:
        raise SystemError("returned a result with an exception set") from fatal

    with pytest.raises(KafkaException) as raised:
        served(flush)
    assert raised.value is fatal


def test_another_system_error_stays() -> None:
    def flush() -> int:
        raise SystemError("of the interpreter")

    with pytest.raises(SystemError, match="of the interpreter"):
        served(flush)
