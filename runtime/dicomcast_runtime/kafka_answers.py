"""Answers of Kafka: what it cannot say for a moment is asked again, and none is waited for without end. Blocking."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

__all__ = ["answer_of", "asked"]

T = TypeVar("T")

_PAUSE_S: Final = 0.2
_FORGOTTEN: Final = 2
"""Times its own bound, after which the client has forgotten a request."""
_MOVING: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
)
"""Codes of a leader or coordinator that is being made or moved: the same request is soon answered."""


def asked(ask: Callable[[], T], *, within_s: float, final: Collection[int] = ()) -> T:
    """The answer; a broker that is away, or a leader or coordinator that is moving, is asked again for a while.

    Raises KafkaException: of another code, of one of `final` at once, or the last one after `within_s`.
    """
    until_s = time.monotonic() + within_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            code = error.args[0].code()
            if code in final or code not in _MOVING or time.monotonic() > until_s:
                raise
            time.sleep(_PAUSE_S)


def answer_of(future: "Future[T]", *, within_s: float) -> T:
    """What the admin client's future brings. Raises KafkaException.

    The client bounds its request with `within_s` itself; one without an end after twice that counts as timed out, or
    whoever asked would wait for good.
    """
    try:
        return future.result(_FORGOTTEN * within_s)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
