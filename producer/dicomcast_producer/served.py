"""A call into the Kafka client, in which it calls back."""

from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaException

__all__ = ["served"]

T = TypeVar("T")


def served(call: Callable[[], T]) -> T:
    """The call, in which the client calls back. A fatal error that it raises there is met by the next delivery report
    as SystemError: the fatal one is raised in its place."""
    try:
        return call()
    except SystemError as met:
        if isinstance(met.__cause__, KafkaException):
            raise met.__cause__ from None
        raise
