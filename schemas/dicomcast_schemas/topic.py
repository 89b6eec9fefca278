"""The topic around the value: key, partition, headers. Every constant here is part of the contract and never renamed.

CloudEvents 1.0, Kafka binding, binary mode: the attributes are `ce_` headers, the value is the event itself.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from .event import DicomChangeEvent

__all__ = [
    "CE_ID",
    "CE_SOURCE",
    "CE_SPECVERSION",
    "CE_SUBJECT",
    "CE_TIME",
    "CE_TYPE",
    "CONTENT_TYPE",
    "CURSOR_SUFFIX",
    "DEAD_LETTER_SUFFIX",
    "DEFAULT_TOPIC",
    "DONE_SUFFIX",
    "METADATA",
    "METADATA_TOO_LARGE",
    "METADATA_UNREADABLE",
    "PARTITIONER",
    "DeadLetterHeader",
    "Headers",
    "cursor_topic",
    "dead_letter_topic",
    "done_topic",
    "event_headers",
    "partition_for",
    "record_key",
    "rfc3339",
    "text_headers",
]

DEFAULT_TOPIC: Final = "dicom.changes.v1"
"""Events. Its retention is the horizon of a replay; its partition count is part of the contract."""
CURSOR_SUFFIX: Final = ".cursor"
DEAD_LETTER_SUFFIX: Final = ".dlq"
DONE_SUFFIX: Final = ".done"

PARTITIONER: Final = "murmur2_random"
"""librdkafka's name of the Java client's partitioner: Java, Flink and ksqlDB agree on the partition of a study."""

CE_SPECVERSION: Final = "ce_specversion"
"""`1.0`."""
CE_ID: Final = "ce_id"
"""`<feed>:<sequence>`: deterministic. An event that is sent twice has the same ce_id twice: drop duplicates by it."""
CE_SOURCE: Final = "ce_source"
"""`/dicomcast/feeds/<feed>`: a URI reference that outlives the server's address."""
CE_TYPE: Final = "ce_type"
"""`org.dicomcast.instance.create`, `.update`, `.delete` or `.unknown`: a reader may filter without decoding."""
CE_TIME: Final = "ce_time"
"""The event's timestamp, RFC 3339, UTC, microseconds."""
CE_SUBJECT: Final = "ce_subject"
"""The SOP Instance UID. (The Study Instance UID is the key.)"""
CONTENT_TYPE: Final = "content-type"
"""`application/vnd.apache.avro`."""
METADATA: Final = "dicomcast-metadata"
"""Present only when the metadata of an existing instance was left out, with the reason; read it by WADO-RS."""
METADATA_TOO_LARGE: Final = "too-large"
"""It would not fit a record (`max.message.bytes` of the topic)."""
METADATA_UNREADABLE: Final = "unreadable"
"""The DICOM server failed to give it, by the change feed and by WADO-RS, while it gave that of others."""


class DeadLetterHeader:
    """Headers a dead letter has on top of its record's own, which stay as they were. Values are UTF-8 text."""

    REASON: Final = "dlq.reason"
    """`decode`, `map`, `fhir` or `source`: the stage that rejected the event."""
    ERROR_CODE: Final = "dlq.error.code"
    """Stable slug, e.g. `map.patient_id_missing`; listed in the README."""
    ERROR_MESSAGE: Final = "dlq.error.message"
    """One sentence of ours, at most 500 characters, without patient data."""
    HTTP_STATUS: Final = "dlq.http.status"
    """The FHIR or DICOM server's answer, where there was one."""
    ATTEMPTS: Final = "dlq.attempts"
    """1 at first; one more each time a replayed letter fails again."""
    FAILED_AT: Final = "dlq.failed-at"
    """RFC 3339, UTC."""
    SOURCE_TOPIC: Final = "dlq.source.topic"
    SOURCE_PARTITION: Final = "dlq.source.partition"
    SOURCE_OFFSET: Final = "dlq.source.offset"
    """With topic and partition the identity of the letter."""
    SOURCE_GROUP: Final = "dlq.source.group"
    RECORD_TIMESTAMP: Final = "dlq.record.timestamp"
    """The record's own timestamp, milliseconds since the epoch."""

    ALL: Final = (
        REASON,
        ERROR_CODE,
        ERROR_MESSAGE,
        HTTP_STATUS,
        ATTEMPTS,
        FAILED_AT,
        SOURCE_TOPIC,
        SOURCE_PARTITION,
        SOURCE_OFFSET,
        SOURCE_GROUP,
        RECORD_TIMESTAMP,
    )


Headers = Iterable[tuple[str, str | bytes | None]] | Mapping[str, str | bytes | None]
"""What Kafka clients give as a record's headers."""


def cursor_topic(topic: str) -> str:
    """The compacted topic that holds the producer's cursor for `topic`."""
    return topic + CURSOR_SUFFIX


def dead_letter_topic(topic: str, group: str) -> str:
    """The dead-letter topic of one consumer group: same partition count, a letter keeps its record's partition."""
    return f"{topic}.{group}{DEAD_LETTER_SUFFIX}"


def done_topic(topic: str, group: str) -> str:
    """The compacted topic that says which dead letters of the group have been seen to; one partition."""
    return dead_letter_topic(topic, group) + DONE_SUFFIX


def record_key(event: DicomChangeEvent) -> bytes:
    """The Study Instance UID, trimmed (PS3.5 6.2 UI pads with NUL); `<feed>:<sequence>` where the entry has none."""
    uid = event.study_instance_uid.strip(" \0")
    return (uid or f"{event.feed}:{event.sequence}").encode()


def event_headers(event: DicomChangeEvent) -> dict[str, str]:
    """The CloudEvents headers of an event, in the order they are sent."""
    return {
        CE_SPECVERSION: "1.0",
        CE_ID: f"{event.feed}:{event.sequence}",
        CE_SOURCE: f"/dicomcast/feeds/{event.feed}",
        CE_TYPE: f"org.dicomcast.instance.{event.action.value.lower()}",
        CE_TIME: rfc3339(event.timestamp),
        CE_SUBJECT: event.sop_instance_uid,
        CONTENT_TYPE: "application/vnd.apache.avro",
    }


def text_headers(headers: Headers | None) -> Mapping[str, str]:
    """A record's headers as text; a header that stands twice gives its last value, as Kafka's own lastHeader does."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return {
        name: value if isinstance(value, str) else (value or b"").decode("utf-8", "replace") for name, value in pairs
    }


@lru_cache(maxsize=4096)  # the records of a study come close together
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key by the Java client's default partitioner: murmur2 (KIP-480 left keyed records alone)."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def rfc3339(timestamp: datetime) -> str:
    """RFC 3339, UTC, microseconds: how the headers write a time."""
    return timestamp.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _murmur2(key: bytes) -> int:
    """32-bit MurmurHash2 with the seed of org.apache.kafka.common.utils.Utils."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    tail = len(key) & ~3
    for start in range(0, tail, 4):
        k = int.from_bytes(key[start : start + 4], "little") * m & mask
        h = h * m & mask ^ ((k ^ k >> 24) * m & mask)
    for shift, byte in enumerate(key[tail:]):
        h ^= byte << 8 * shift
    if len(key) & 3:
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
