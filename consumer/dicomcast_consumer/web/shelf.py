"""The dead letters, kept in memory: the topic is read again only when its end has moved. Blocking."""

import threading
import time
from typing import Final

from dicomcast_runtime.kafka_settings import KafkaSettings

from ..dlq_done import KeptLetter
from ..dlq_letters import LetterTopics
from ..group_admin import GroupAdmin, LogEnds
from ..record import Record

__all__ = ["Shelf"]

_REST: Final = 10.0
"""How many times as long as a reading takes its outcome is kept, so that a large topic is not read all the time."""

_Ends = tuple[dict[int, LogEnds], dict[int, LogEnds]]


class Shelf:
    """The letters of one group; any thread may ask. Raises StopError when Kafka stays away or refuses."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        self._topics = LetterTopics(kafka, topic=topic, group=group)
        self._admin = GroupAdmin(kafka, topic=topic, group=group)
        self._lock = threading.Lock()
        self._ends: _Ends | None = None
        self._kept: list[KeptLetter] = []
        self._fresh_until_s = 0.0

    @property
    def topic(self) -> str:
        """The dead-letter topic's name."""
        return self._topics.letters

    def kept(self) -> list[KeptLetter]:
        """Each rejected event once. Raises ConfigurationError where the group has no dead-letter topic."""
        with self._lock:
            if time.monotonic() >= self._fresh_until_s:
                self._refresh()
            return self._kept

    def record(self, partition: int, offset: int) -> Record | None:
        """One letter's record, None when there is none."""
        return self._topics.record(partition, offset)

    def _refresh(self) -> None:
        began_s = time.monotonic()
        ends = self._admin.log_ends(self.topic), self._done_ends()
        if ends == self._ends:
            return
        self._kept = self._topics.kept()
        self._ends = ends
        took_s = time.monotonic() - began_s
        self._fresh_until_s = time.monotonic() + _REST * took_s if took_s > 1 else 0.0

    def _done_ends(self) -> dict[int, LogEnds]:
        return self._admin.log_ends(self._topics.done) if self._topics.has_done_topic() else {}
