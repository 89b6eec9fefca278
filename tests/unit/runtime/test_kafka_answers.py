"""Answers of Kafka's admin client that never come."""

import time
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException
from dicomcast_runtime.kafka_answers import answer_of


def test_an_answer_that_never_comes_is_not_waited_for() -> None:
    begun_s = time.monotonic()
    with pytest.raises(KafkaException) as raised:
        answer_of(Future[int](), within_s=0.01)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT
    assert time.monotonic() - begun_s < 20


def test_an_answer_is_given_back() -> None:
    future = Future[int]()
    future.set_result(7)
    assert answer_of(future, within_s=10) == 7
