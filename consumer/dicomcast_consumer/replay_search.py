"""Finding the first event of a sequence in a partition, by bisection. Pure: the caller reads the records.

Within a partition the events of one feed ascend by sequence, for the producer publishes a feed in its order. Where the
producer's cursor was set back, they ascend again from there: the search then finds the begin in one of the passes, and
what is read from there on holds every event from the sequence on that the last pass has.
"""

from dataclasses import dataclass

from dicomcast_schemas import ContractError, SchemaById, decode
from dicomcast_schemas.topic import CE_ID, text_headers

from .record import Record

__all__ = ["FeedSequence", "SequenceSearch", "feed_sequence"]


@dataclass(frozen=True, slots=True)
class FeedSequence:
    """Where an event stands in its feed."""

    feed: str
    sequence: int


def feed_sequence(record: Record, *, schema_by_id: SchemaById | None = None) -> FeedSequence | None:
    """Feed and sequence by the header ce_id, else by the value; None for a record that has neither."""
    feed, colon, number = text_headers(list(record.headers)).get(CE_ID, "").rpartition(":")
    if colon and number.isdecimal():
        return FeedSequence(feed, int(number))
    try:
        event = decode(record.value, schema_by_id=schema_by_id)
    except ContractError:
        return None
    return FeedSequence(event.feed, event.sequence)


class SequenceSearch:
    """The search in one partition's log [begin, end)."""

    def __init__(self, *, begin: int, end: int, sequence: int) -> None:
        self._low = begin
        self._high = end
        self._sequence = sequence
        self.found = end
        """The offset to begin at, once `probe` is None: `end` when no event has the sequence or a higher one."""

    def probe(self) -> tuple[int, int] | None:
        """The offsets [start, end) in which to read the first event; None when the search is over."""
        if self._low >= self._high:
            return None
        return (self._low + self._high) // 2, self._high

    def answer(self, offset: int | None, sequence: int | None) -> None:
        """The first event of the probe: its offset and sequence; None when the probe has no event."""
        middle = (self._low + self._high) // 2
        if offset is None or sequence is None:
            self._high = middle
        elif sequence >= self._sequence:
            self.found = offset
            self._high = middle
        else:
            self._low = offset + 1
