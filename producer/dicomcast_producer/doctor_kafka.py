"""Kafka as the producer needs it, as checks of `doctor`: brokers, its two topics, rights, the cursor. Only reads."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from dicomcast_runtime.clocks import broker_clock_finding
from dicomcast_runtime.doctor import Check, Finding, NotAskedError
from dicomcast_runtime.errors import BrokenContractError, DependencyError
from dicomcast_runtime.kafka_look import KafkaLook, require_rights
from dicomcast_schemas.topic import cursor_topic

from .bridge import FeedIdentity, require_same
from .config import ProducerSettings
from .cursor import Cursor, CursorReader
from .errors import RetryableError
from .publisher import transactional_id
from .topic_check import TopicCheck, TopicState
from .topics import Topics, changes, wanted_topics

__all__ = ["KafkaChecks"]

T = TypeVar("T")


class KafkaChecks:
    """The checks, with what the earlier ones found. Their calls block: nothing else is under way."""

    def __init__(self, settings: ProducerSettings) -> None:
        self._settings = settings
        self._topic = settings.topic.name
        self._cursor_topic = cursor_topic(self._topic)
        self._state: TopicState | None = None
        self._newest: datetime | None = None
        self._opened: KafkaLook | None = None
        self.cursor: Cursor | None = None
        """What the check `cursor` found."""

    def checks(self) -> tuple[Check, ...]:
        """In their order."""
        return (
            Check(name="kafka", look=self._brokers, needs=("settings",)),
            Check(name="topics", look=self._usable, needs=("kafka",)),
            Check(name="topics.settings", look=self._as_applied, needs=("topics",)),
            Check(name="topics.rights", look=self._may_write, needs=("topics",)),
            Check(name="topics.leaders", look=self._leaders, needs=("topics",)),
            Check(name="transactions", look=self._may_publish, needs=("topics",)),
            Check(name="cursor", look=self._same_feed, needs=("topics.rights", "topics.leaders")),
            Check(name="kafka.clock", look=self._clock, needs=("topics.leaders",)),
        )

    @property
    def _look(self) -> KafkaLook:
        if self._opened is None:
            self._opened = KafkaLook(self._settings.kafka)
        return self._opened

    async def _brokers(self) -> Finding:
        return Finding(str(self._look.brokers()))

    async def _usable(self) -> Finding:
        """As the producer does at start; where that may not ask (verify_topics), without making the topics."""
        if self._settings.producer.verify_topics:
            check = TopicCheck(Topics(self._settings.kafka), self._settings.topic, verify=True)
            self._state = _now(check.state)
        else:
            self._state = TopicState(partitions=self._existing(self._topic), topic_id=None)
            self._existing(self._cursor_topic)
        return Finding(f"{self._topic} has {self._state.partitions} partitions, {self._cursor_topic} is there")

    def _existing(self, topic: str) -> int:
        partitions = self._look.partitions(topic, "Write")
        if not partitions:
            raise BrokenContractError(f"there is no topic {topic}: run `dicomcast-producer topics apply`")
        return partitions

    async def _as_applied(self) -> Finding:
        if not self._settings.producer.verify_topics:
            raise NotAskedError("DICOMCAST_PRODUCER__VERIFY_TOPICS=false")
        wanted = wanted_topics(self._settings.topic, groups=(), letter_partitions=0)
        topics = Topics(self._settings.kafka)
        differing = changes(wanted, _now(lambda: topics.describe([topic.name for topic in wanted])))
        doubts = [
            f"{change.topic.name}: {', '.join(change.config_lines())}: `dicomcast-producer topics apply` corrects it"
            for change in differing
            if change.config
        ]
        doubts += [
            f"{change.topic.name} has {change.wrong_partitions} partitions and DICOMCAST_TOPIC__PARTITIONS is "
            f"{change.topic.partitions}: `run` takes the topic as it is, `topics apply` refuses; set it to "
            f"{change.wrong_partitions}, and never change the topic"
            for change in differing
            if change.wrong_partitions is not None
        ]
        return Finding("both are as `topics apply` makes them", tuple(doubts))

    async def _may_write(self) -> Finding:
        needed = {self._topic: ("Write",), self._cursor_topic: ("Read", "Write")}
        found = [
            require_rights(self._look.rights_on_topic(topic, rights[-1]), rights, on=f"topic {topic}")
            for topic, rights in needed.items()
        ]
        return Finding("; ".join(one.text for one in found))

    async def _leaders(self) -> Finding:
        self._look.newest(self._cursor_topic, 1, "Read")
        self._newest = self._look.newest(self._topic, self._found.partitions, "Write")
        return Finding("the leader of each partition answers")

    async def _may_publish(self) -> Finding:
        raise NotAskedError(
            f"Write on transactional id {transactional_id(self._topic)} cannot be asked without fencing a producer "
            "that runs; `run` says whether it is missing"
        )

    async def _same_feed(self) -> Finding:
        self.cursor = _now(CursorReader(self._settings.kafka, self._topic).read)
        if self.cursor is None:
            return Finding(f"none yet: `run` begins at {self._settings.feed.start} (DICOMCAST_FEED__START)")
        require_same(self.cursor.identity, FeedIdentity.of(self._settings.feed).with_topic(self._found))
        return Finding(f"it is of this feed and this topic, at sequence {self.cursor.position.sequence}")

    async def _clock(self) -> Finding:
        return broker_clock_finding(self._newest, datetime.now(UTC))

    @property
    def _found(self) -> TopicState:
        assert self._state is not None, "the check `topics` comes first"
        return self._state


def _now(call: Callable[[], T]) -> T:
    try:
        return call()
    except RetryableError as error:
        raise DependencyError(f"{error}: look into the brokers' logs, or try again") from None
