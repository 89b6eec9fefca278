"""Whether what was committed can be seen: the last stable offset of a partition beside its end. Blocking.

A commit is answered once the coordinator has decided; the markers that end the transaction on each partition come
after it. A broker can lose them: seen with Kafka 4.3 when its only broker was frozen and fenced for a moment, and the
transaction counted as complete all the same ("hanging transaction", KIP-664). Then read_committed readers stop at its
first record.
"""

from collections.abc import Collection, Mapping

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from dicomcast_runtime.kafka_settings import KafkaSettings

from .client_errors import ClientErrors
from .errors import RetryableError

__all__ = ["Place", "StableOffsets"]

Place = tuple[str, int]
"""Topic and partition."""


class StableOffsets:
    """Asks the leaders. Takes the right to describe the topics."""

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = 10.0) -> None:
        self._kafka = kafka
        self._errors = ClientErrors()
        self._timeout_s = timeout_s
        self._admin: AdminClient | None = None

    def behind(self, places: Collection[Place]) -> dict[Place, int]:
        """The last stable offset of those whose end is beyond it. Raises RetryableError."""
        try:
            stable = self._latest(places, IsolationLevel.READ_COMMITTED)
            ends = self._latest(places, IsolationLevel.READ_UNCOMMITTED)
        except KafkaException as failure:
            self._admin = None
            error: KafkaError = failure.args[0]
            raise RetryableError(f"asking for the last stable offsets: {self._errors.reason(error)}") from None
        return {place: offset for place, offset in stable.items() if offset < ends[place]}

    def _latest(self, places: Collection[Place], isolation: IsolationLevel) -> Mapping[Place, int]:
        if self._admin is None:
            self._admin = AdminClient(self._errors.config(self._kafka.client()))
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(topic, partition): latest for topic, partition in places}
        answers = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=self._timeout_s)
        return {(place.topic, place.partition): future.result().offset for place, future in answers.items()}
