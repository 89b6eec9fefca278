"""A broker that can lose the end of a transaction (KIP-664), as the publisher's client and its look see it.

It plays broker and client: what was produced there is open until a transaction of the same place ends.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from dicomcast_producer.cursor import Cursor, cursor_from_json
from dicomcast_producer.record import Record
from dicomcast_producer.stable_offsets import Place
from dicomcast_schemas import decode
from dicomcast_schemas.topic import cursor_topic

__all__ = ["Broker", "Written"]


@dataclass(slots=True)
class Written:
    """A record on a partition, and what became of its transaction."""

    record: Record
    state: str = "open"


@dataclass(slots=True)
class Broker:
    """One topic and its cursor."""

    topic: str
    partitions: int
    log: dict[Place, list[Written]] = field(default_factory=lambda: defaultdict(list))
    loses: list[Place] = field(default_factory=list)
    """Where the next ends of transactions do not arrive, once for each time that a place is in it."""
    breaks: KafkaError | None = None
    """What the client raises, for good, after the next commit was made."""

    def producer(self, config: Mapping[str, Any]) -> "Client":
        return Client(self)

    def end(self, places: Collection[Place], state: str) -> None:
        for place in places:
            if place in self.loses:
                self.loses.remove(place)
                continue
            for written in self.log[place]:
                written.state = state if written.state == "open" else written.state

    def behind(self, places: Collection[Place]) -> dict[Place, int]:
        found = {place: [written.state for written in self.log[place]] for place in places}
        return {place: states.index("open") for place, states in found.items() if "open" in states}

    def last_record(self, place: Place, start: int) -> Record:
        return self.log[place][start:][-1].record

    def sequences(self) -> list[int]:
        """The events that a read_committed reader sees."""
        places = [(self.topic, partition) for partition in range(self.partitions)]
        return sorted(decode(record.value).sequence for place in places for record in self._committed(place))

    def cursor(self) -> Cursor:
        """The newest that is committed."""
        return cursor_from_json(self._committed((cursor_topic(self.topic), 0))[-1].value)

    def _committed(self, place: Place) -> list[Record]:
        return [written.record for written in self.log[place] if written.state == "committed"]


class Client:
    """A transactional client of it. Once broken, it does nothing more."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._places: set[Place] = set()
        self._broken: KafkaError | None = None

    def init_transactions(self, timeout: float) -> None: ...

    def begin_transaction(self) -> None:
        self._places = set()

    def produce(
        self,
        topic: str,
        *,
        value: bytes,
        key: bytes,
        headers: list[tuple[str, bytes]],
        partition: int,
        on_delivery: Callable[..., None],
    ) -> None:
        place = topic, partition
        self._places.add(place)
        record = Record(key=key, value=value, headers=headers, metadata_too_large=False)
        self._broker.log[place].append(Written(record))

    def flush(self, timeout: float) -> int:
        return 0

    def poll(self, timeout: float) -> int:
        return 0

    def commit_transaction(self, timeout: float) -> None:
        self._broker.end(self._places, "committed")
        self._broken, self._broker.breaks = self._broker.breaks, None
        self._work()

    def abort_transaction(self, timeout: float) -> None:
        self._work()
        self._broker.end(self._places, "aborted")

    def _work(self) -> None:
        if self._broken is not None:
            raise KafkaException(self._broken)
