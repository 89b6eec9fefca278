"""What the Kafka thread hands over to the loop, in the order in which it happened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dicomcast_runtime.errors import StopError

from .record import Record

__all__ = [
    "Assigned",
    "CommitAnswer",
    "Failed",
    "HandedOver",
    "LetterAnswer",
    "Lost",
    "Received",
    "Revoked",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Records of one partition in offset order, and the consumer's position after them."""

    partition: int
    records: tuple[Record, ...]
    position: int | None


@dataclass(frozen=True, slots=True)
class Assigned:
    """These partitions are ours from now on: partition → epoch, a number that no assignment before had."""

    epochs: Mapping[int, int]
    begins: Mapping[int, int] = field(default_factory=dict)
    """Partition → where it begins because the group had no offset: written down, that never changes by itself again."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """These partitions go to another member. The Kafka thread waits, bounded, until `drained` is called with the
    offsets to commit; after that nothing of theirs may be written."""

    partitions: tuple[int, ...]
    drained: Callable[[Mapping[int, int]], None]


@dataclass(frozen=True, slots=True)
class Lost:
    """These partitions are another member's already: commit nothing."""

    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    """The coordinator's answer to a commit: accepted when there is no error."""

    token: int
    error: str | None


@dataclass(frozen=True, slots=True)
class LetterAnswer:
    """The broker's answer to a dead letter: acknowledged by all in-sync replicas when there is no error."""

    token: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The thread has ended with an error that a person must see."""

    error: StopError


HandedOver = Received | Assigned | Revoked | Lost | CommitAnswer | LetterAnswer | Failed
