"""What the topic has of the instances that dead letters are about, after those letters. Pure.

The producer names the instance in each record's ce_subject: the topic is read for it without decoding an event.
"""

from bisect import insort
from collections.abc import Container, Iterable, Mapping

from dicomcast_schemas.topic import CE_ID, CE_SUBJECT, text_headers

from .dlq import DeadLetter, LetterId, number
from .record import Record

__all__ = ["Instance", "LaterEvents", "instance_of"]

Instance = tuple[bytes, str]
"""Record key (the study) and SOP Instance UID."""


def instance_of(record: Record) -> Instance | None:
    """The instance that the record is about; None when it does not say."""
    return _named(record, text_headers(list(record.headers)))


class LaterEvents:
    """Events of the instances of the chosen letters, noted as the topic is read."""

    def __init__(self, topic: str, letters: Iterable[DeadLetter]) -> None:
        self._topic = topic
        self._letters = {id: letter for letter in letters if (id := letter.id) is not None}
        self._events: dict[Instance, list[tuple[int, int]]] = {
            instance: [] for letter in self._letters.values() if (instance := _instance(letter)) is not None
        }
        self._confirmed: set[LetterId] = set()
        self._without_effect: set[LetterId] = set()

    def note(self, record: Record) -> None:
        """Takes a record of the topic of changes. The same one twice counts once."""
        here = LetterId(record.topic, record.partition, record.offset)
        headers = text_headers(list(record.headers))
        letter, instance, sequence = self._letters.get(here), _named(record, headers), _sequence(headers)
        if letter is not None and (letter.sequence, _instance(letter)) == (sequence, instance):
            self._confirmed.add(here)
        events = self._events.get(instance) if instance is not None else None
        if events is not None and (record.offset, sequence or 0) not in events:
            insort(events, (record.offset, sequence or 0))

    def is_on_the_topic(self, letter: DeadLetter) -> bool:
        """Whether the letter's own event is still there, so that everything after it is known: no retention has taken
        it, and the topic was not made anew."""
        return letter.id in self._confirmed

    def pass_over(self, partition: int, offset: int) -> None:
        """The event there has no effect, so it supersedes nothing: `newest` looks behind it."""
        self._without_effect.add(LetterId(self._topic, partition, offset))

    def newest(self, letter: DeadLetter, pending: Container[LetterId]) -> int | None:
        """Offset of the newest event of the letter's instance after the letter that is neither itself a pending letter
        nor known to be without effect.

        Where the letter's own event is gone from the topic, offsets do not compare: later is then what has a higher
        sequence of the feed.
        """
        id, instance = letter.id, _instance(letter)
        if id is None or instance is None:
            return None
        for offset, sequence in reversed(self._events.get(instance, [])):
            later = offset > id.offset if id in self._confirmed else sequence > (letter.sequence or 0)
            there = LetterId(self._topic, id.partition, offset)
            if later and there not in pending and there not in self._without_effect:
                return offset
        return None


def _instance(letter: DeadLetter) -> Instance | None:
    uid = letter.sop_instance_uid
    return (letter.study_instance_uid.encode(), uid) if uid else None


def _named(record: Record, headers: Mapping[str, str]) -> Instance | None:
    uid = headers.get(CE_SUBJECT, "").strip(" \0")
    return (record.key or b"", uid) if uid else None


def _sequence(headers: Mapping[str, str]) -> int | None:
    return number(headers.get(CE_ID, "").rpartition(":")[2])
