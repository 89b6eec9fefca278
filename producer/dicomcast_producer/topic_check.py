"""Whether the topics are what the producer relies on; asked at start and every `identity_check_s`. Blocking."""

from dataclasses import dataclass

from dicomcast_runtime.errors import BrokenContractError, ConfigurationError
from dicomcast_runtime.kafka_settings import TopicSettings
from dicomcast_schemas.topic import cursor_topic

from .record import BATCH_OVERHEAD_BYTES
from .topics import ActualTopic, Topics

__all__ = ["TopicCheck", "TopicState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """What belongs to the cursor's identity."""

    partitions: int
    topic_id: str | None


class TopicCheck:
    """Asks the broker about the topics of the producer."""

    def __init__(self, topics: Topics, settings: TopicSettings, *, verify: bool) -> None:
        self._topics = topics
        self._settings = settings
        self._verify = verify

    def state(self) -> TopicState:
        """Partition count and id of the topic of changes.

        Raises RetryableError, BrokenContractError when a topic is missing, ConfigurationError when one would break a
        guarantee.
        """
        name = self._settings.name
        names = (name, cursor_topic(name))
        if not self._verify:
            partitions, _ = (self._topics.count_partitions(one) for one in names)
            return TopicState(partitions=partitions, topic_id=None)
        found = self._topics.describe(names)
        missing = [one for one in names if one not in found]
        if missing:
            raise BrokenContractError(
                f"there is no topic {' and no topic '.join(missing)}: run `dicomcast-producer topics apply`, or check "
                "DICOMCAST_TOPIC__NAME"
            )
        self._require_usable(found[name], found[names[1]])
        return TopicState(partitions=found[name].partitions, topic_id=found[name].topic_id)

    def _require_usable(self, events: ActualTopic, cursor: ActualTopic) -> None:
        room = int(events.config.get("max.message.bytes", self._settings.max_record_bytes + BATCH_OVERHEAD_BYTES))
        if room < self._settings.max_record_bytes + BATCH_OVERHEAD_BYTES:
            raise ConfigurationError(
                f"topic {events.name} has max.message.bytes={room}, too small for records of "
                f"DICOMCAST_TOPIC__MAX_RECORD_BYTES={self._settings.max_record_bytes}: run `dicomcast-producer topics "
                f"apply`, or set it to {room - BATCH_OVERHEAD_BYTES} or less"
            )
        policy = events.config.get("cleanup.policy", "delete")
        if "compact" in policy:
            raise ConfigurationError(
                f"topic {events.name} has cleanup.policy={policy}, which keeps the last event of each study alone: run "
                "`dicomcast-producer topics apply`; what is gone already comes again with `dicomcast-producer cursor "
                "set --to beginning`"
            )
        if cursor.config.get("cleanup.policy", "compact") != "compact":
            raise ConfigurationError(
                f"topic {cursor.name} must have cleanup.policy=compact, or the cursor expires: run `dicomcast-producer "
                "topics apply`"
            )
