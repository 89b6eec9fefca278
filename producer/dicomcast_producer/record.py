"""A feed entry as the record that is produced: key, value, headers, and what to leave out when it would not fit."""

from dataclasses import dataclass, replace

from dicomcast_schemas import encode
from dicomcast_schemas.topic import METADATA, METADATA_TOO_LARGE, event_headers, record_key

from .entry import FeedEntry, unreadable_entry

__all__ = ["BATCH_OVERHEAD_BYTES", "Record", "record_of"]

BATCH_OVERHEAD_BYTES = 1024
"""More than Kafka adds to one record: batch header (61), lengths and timestamps (up to 21), a few bytes per header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is handed to Kafka."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    metadata_too_large: bool

    @property
    def size_bytes(self) -> int:
        return len(self.key) + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)


def record_of(entry: FeedEntry, *, schema_id: int | None, max_bytes: int) -> Record:
    """The entry's record, of at most `max_bytes`: metadata beyond that is left out and marked in a header."""
    record = _record(entry, schema_id, too_large=False)
    if record.size_bytes > max_bytes:
        bare = replace(entry, event=replace(entry.event, metadata=None), metadata_omitted=METADATA_TOO_LARGE)
        record = _record(bare, schema_id, too_large=True)
    if record.size_bytes > max_bytes:
        # No name of ours or of DICOM's is that long: the entry is nonsense, but its sequence is not lost.
        return _record(unreadable_entry(entry.event.feed, entry.event.sequence), schema_id, too_large=False)
    return record


def _record(entry: FeedEntry, schema_id: int | None, *, too_large: bool) -> Record:
    headers = event_headers(entry.event)
    if entry.metadata_omitted is not None:
        headers[METADATA] = entry.metadata_omitted
    return Record(
        key=record_key(entry.event),
        value=encode(entry.event, schema_id=schema_id),
        headers=[(name, value.encode()) for name, value in headers.items()],
        metadata_too_large=too_large,
    )
