"""Which dead letters have been seen to: one mark per rejected event, on a compacted topic keyed by its place. Pure.

A mark names the letter it is about. An event that is rejected again after it was done has a newer letter, which the
mark does not name: it is pending again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson
from dicomcast_schemas.topic import rfc3339

from .dlq import DeadLetter, LetterId
from .record import Record

__all__ = ["DoneMark", "KeptLetter", "Outcome", "kept_letters", "mark_key", "mark_value", "read_marks"]


class Outcome(StrEnum):
    """How a letter came to its end."""

    APPLIED = "applied"
    """It is in FHIR, or without effect by a rule of the mapping."""
    SUPERSEDED = "superseded"
    """A later event of its instance stands in FHIR."""
    GONE = "gone"
    """What came after it is not on the topic any more, and its instance not on the DICOM server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneMark:
    """A letter that is done."""

    id: LetterId
    letter: str
    """PARTITION:OFFSET on the dead-letter topic."""
    failed_at: str | None
    """That of the letter, RFC 3339: positions begin anew when the dead-letter topic is made anew."""
    outcome: str
    done_at: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """What is known of one rejected event: its newest letter, and the mark when that is done."""

    letter: DeadLetter
    mark: DoneMark | None
    copies: int
    """Letters of this event, the newest included: one more for each time that it was rejected."""

    @property
    def pending(self) -> bool:
        """Whether it waits for a person."""
        return self.mark is None


def mark_key(id: LetterId) -> bytes:
    """The key of the mark: topic/partition/offset."""
    return f"{id.topic}/{id.partition}/{id.offset}".encode()


def mark_value(letter: DeadLetter, outcome: Outcome, done_at: datetime) -> bytes:
    """The value of the mark: JSON."""
    return orjson.dumps(
        {
            "letter": letter.position,
            "failed_at": _failed_at(letter),
            "outcome": outcome.value,
            "done_at": rfc3339(done_at),
        }
    )


def read_marks(records: Iterable[Record]) -> dict[LetterId, DoneMark]:
    """The newest mark of each event. A record that is none is passed over; one without a value takes a mark back."""
    marks: dict[LetterId, DoneMark] = {}
    for record in records:
        id = _id(record.key)
        if id is None:
            continue
        marks.pop(id, None)
        mark = _mark(id, record.value)
        if mark is not None:
            marks[id] = mark
    return marks


def kept_letters(letters: Iterable[DeadLetter], marks: Mapping[LetterId, DoneMark]) -> list[KeptLetter]:
    """Two letters of one event count as one, the newest. In the order of the dead-letter topic."""
    newest: dict[object, tuple[DeadLetter, int]] = {}
    for letter in sorted(letters, key=lambda each: (each.partition, each.offset)):
        identity: object = letter.id or letter.position
        _, copies = newest.pop(identity, (letter, 0))
        newest[identity] = (letter, copies + 1)
    found = [KeptLetter(letter=letter, mark=_of(letter, marks), copies=n) for letter, n in newest.values()]
    return sorted(found, key=lambda each: (each.letter.partition, each.letter.offset))


def _of(letter: DeadLetter, marks: Mapping[LetterId, DoneMark]) -> DoneMark | None:
    mark = marks.get(letter.id) if letter.id is not None else None
    if mark is None or (mark.letter, mark.failed_at) != (letter.position, _failed_at(letter)):
        return None
    return mark


def _failed_at(letter: DeadLetter) -> str | None:
    return None if letter.failed_at is None else rfc3339(letter.failed_at)


def _id(key: bytes | None) -> LetterId | None:
    topic, _, rest = (key or b"").decode("utf-8", "replace").partition("/")
    partition, _, offset = rest.partition("/")
    return LetterId(topic, int(partition), int(offset)) if partition.isdecimal() and offset.isdecimal() else None


def _mark(id: LetterId, value: bytes | None) -> DoneMark | None:
    try:
        found = orjson.loads(value or b"null")
        failed_at = found["failed_at"]
        return DoneMark(
            id=id,
            letter=str(found["letter"]),
            failed_at=None if failed_at is None else str(failed_at),
            outcome=str(found["outcome"]),
            done_at=str(found["done_at"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
