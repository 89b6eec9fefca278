"""A record as confluent-kafka gives it, as ours."""

from sys import intern
from typing import Any

from confluent_kafka import Message

from .record import Record

__all__ = ["record_of"]


def record_of(item: Message) -> Record:
    """The record, untouched; `item` must have no error."""
    topic, partition, offset = item.topic(), item.partition(), item.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    pairs: Any = item.headers() or ()  # the stubs also allow a mapping, which consume never gives
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=_bytes(item.key()),
        value=_bytes(item.value()),
        headers=tuple((intern(name), _bytes(value)) for name, value in pairs),
        timestamp_ms=item.timestamp()[1],
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
