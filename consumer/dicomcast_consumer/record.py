"""One record of the topic, as the Kafka thread hands it over."""

from dataclasses import dataclass

from dicomcast_schemas.topic import METADATA

__all__ = ["Record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record of the topic of changes, untouched: what a dead letter repeats."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int
    """Milliseconds since the epoch; arrival at the broker where the topic has LogAppendTime."""

    @property
    def lane(self) -> bytes:
        """What orders this record: its key, the study. Without a key nothing orders it: a lane of its own."""
        return self.key if self.key is not None else b"\0%d" % self.offset

    @property
    def lacks_metadata(self) -> bool:
        """Whether the producer left the metadata out, so that reading the event takes a request to the DICOM server."""
        return any(name == METADATA for name, _ in self.headers)

    @property
    def size(self) -> int:
        """Bytes it holds in memory, near enough."""
        return len(self.value or b"") + 300 + 150 * len(self.headers)
