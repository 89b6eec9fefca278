"""Dead letters in parts that are read, applied and settled together. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from dicomcast_schemas.topic import DeadLetterHeader, text_headers

from .dlq import DeadLetter, LetterId
from .record import Record

__all__ = ["as_it_stood", "letter_parts"]

_MAX_LETTERS: Final = 500
_MAX_STUDIES: Final = 25
_MAX_BYTES: Final = 16 * 1024 * 1024


def letter_parts(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Letters of one partition, in their order, bounded: what is read, applied and settled together."""
    part: list[DeadLetter] = []
    for letter in letters:
        full = len(part) >= _MAX_LETTERS or sum(each.size for each in part) + letter.size > _MAX_BYTES
        studies = {each.study_instance_uid for each in part} | {letter.study_instance_uid}
        if part and (full or letter.partition != part[0].partition or len(studies) > _MAX_STUDIES):
            yield part
            part = []
        part.append(letter)
    if part:
        yield part


def as_it_stood(record: Record, id: LetterId) -> Record:
    """The letter's record at its event's place; its headers keep what the letter says."""
    text = text_headers(list(record.headers)).get(DeadLetterHeader.RECORD_TIMESTAMP, "")
    timestamp_ms = int(text) if text.lstrip("-").isdecimal() else record.timestamp_ms
    return replace(record, topic=id.topic, partition=id.partition, offset=id.offset, timestamp_ms=timestamp_ms)
