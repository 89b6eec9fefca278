"""A dead letter as a person sees it: what failed, and why. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import CE_ID, CE_SUBJECT, DeadLetterHeader, rfc3339, text_headers

from .dlq_forms import shown_feed, shown_key, shown_uid
from .record import Record

__all__ = [
    "DeadLetter",
    "Filters",
    "LetterId",
    "as_document",
    "event_document",
    "number",
    "parse_position",
    "read_letter",
]


@dataclass(frozen=True, slots=True, order=True)
class LetterId:
    """Where the rejected event stands on the topic of changes: the identity of its letters."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One record of the dead-letter topic."""

    partition: int
    offset: int
    """Its place on the dead-letter topic. The partition is that of the source record, too."""
    size: int
    """Bytes of the event."""
    study_instance_uid: str
    """The record's key. What is no key of ours may be a patient's: `study` is what is shown."""
    sop_instance_uid: str | None
    """As the record says; it is shown if it is one."""
    feed: str | None
    sequence: int | None
    reason: str
    code: str
    text: str
    http_status: int | None
    attempts: int
    failed_at: datetime | None
    id: LetterId | None
    """None for a record that does not say what it is about: no letter of ours."""

    @property
    def study(self) -> str | None:
        """The key if it is a UID, or `<feed>:<sequence>` of an event without one."""
        return shown_key(self.study_instance_uid, f"{self.feed}:{self.sequence}")

    @property
    def position(self) -> str:
        """How `dlq show` is asked for it."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which letters are listed; a None matches all."""

    study: str | None = None
    code: str | None = None
    """A code, or the begin of one up to a dot: `map` matches map.patient_id_missing."""
    since: datetime | None = None
    """Failed then or later."""
    until: datetime | None = None
    """Failed before then."""
    source: tuple[int, int] | None = None
    """Partition and offset of the event on the topic of changes."""
    positions: frozenset[tuple[int, int]] | None = None
    """Partition and offset of the letter."""

    def match(self, letter: DeadLetter) -> bool:
        """Whether the letter meets all of them."""
        if self.study is not None and letter.study_instance_uid != self.study:
            return False
        if self.code is not None and not f"{letter.code}.".startswith(f"{self.code}."):
            return False
        if self.positions is not None and (letter.partition, letter.offset) not in self.positions:
            return False
        if self.source is not None and (letter.id is None or (letter.id.partition, letter.id.offset) != self.source):
            return False
        return self._in_time(letter.failed_at)

    def _in_time(self, failed_at: datetime | None) -> bool:
        if self.since is not None and (failed_at is None or failed_at < self.since):
            return False
        return self.until is None or (failed_at is not None and failed_at < self.until)


def read_letter(record: Record) -> DeadLetter:
    """The letter by its headers alone; what a header does not say is empty. Raises nothing."""
    h, headers = DeadLetterHeader, text_headers(list(record.headers))
    feed, _, sequence = headers.get(CE_ID, "").rpartition(":")
    partition, offset = (number(headers.get(name, "")) for name in (h.SOURCE_PARTITION, h.SOURCE_OFFSET))
    known = h.SOURCE_TOPIC in headers and partition is not None and offset is not None
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        size=record.size,
        study_instance_uid=(record.key or b"").decode("utf-8", "replace"),
        sop_instance_uid=(headers.get(CE_SUBJECT) or "").strip(" \0") or None,
        feed=shown_feed(feed),
        sequence=number(sequence),
        reason=headers.get(h.REASON, ""),
        code=headers.get(h.ERROR_CODE, ""),
        text=headers.get(h.ERROR_MESSAGE, ""),
        http_status=number(headers.get(h.HTTP_STATUS, "")),
        attempts=number(headers.get(h.ATTEMPTS, "")) or 0,
        failed_at=_time(headers.get(h.FAILED_AT, "")),
        id=LetterId(headers[h.SOURCE_TOPIC], partition or 0, offset or 0) if known else None,
    )


def as_document(letter: DeadLetter) -> dict[str, object]:
    """The JSON document of a letter: names are an API, and no value is a patient's."""
    return {
        "position": letter.position,
        "study_instance_uid": letter.study,
        "sop_instance_uid": shown_uid(letter.sop_instance_uid),
        "feed": letter.feed,
        "sequence": letter.sequence,
        "reason": letter.reason,
        "code": letter.code,
        "text": letter.text,
        "http_status": letter.http_status,
        "attempts": letter.attempts,
        "failed_at": rfc3339(letter.failed_at) if letter.failed_at else None,
        "source": None if letter.id is None else str(letter.id),
    }


_UIDS: Final = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
_SHOWN: Final = ("feed", "sequence", "partition_name", *_UIDS, "action", "state", "timestamp")


def event_document(event: DicomChangeEvent) -> dict[str, object]:
    """The event without patient data: no metadata but its size, no path in the DICOM server's store, no UID that is
    none."""
    shown: dict[str, object] = {name: getattr(event, name) for name in _SHOWN}
    shown |= {name: shown_uid(getattr(event, name)) for name in _UIDS}
    shown["timestamp"] = rfc3339(event.timestamp)
    shown["metadata_bytes"] = None if event.metadata is None else len(event.metadata.encode("utf-8", "replace"))
    return shown


def parse_position(text: str) -> tuple[int, int]:
    """PARTITION:OFFSET. Raises ValueError."""
    if not re.fullmatch(r"\d+:\d+", text):
        raise ValueError(f"{text!r} is not PARTITION:OFFSET, as `dlq list` prints it")
    partition, offset = text.split(":")
    return int(partition), int(offset)


def number(text: str) -> int | None:
    """The number that a header is, as Kafka and the change feed count: 64 bits; None for any other text."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
