"""Kafka as a member needs it: brokers, topic, dead-letter topic, rights, the group's offsets."""

from datetime import UTC, datetime

from dicomcast_runtime.clocks import broker_clock_finding
from dicomcast_runtime.doctor import Check, Finding, NotAskedError, doubtful
from dicomcast_runtime.kafka_look import KafkaLook, require_rights
from dicomcast_schemas.topic import dead_letter_topic, done_topic

from ..config import ConsumerSettings
from ..group_admin import GroupAdmin
from ..letter_room import check_room, doubts
from ..topics import require_same_count, require_topic
from .group_state import offsets_text

__all__ = ["KafkaChecks"]


class KafkaChecks:
    """The checks, with what the earlier ones found. Their calls block: nothing else is under way."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._topic = settings.topic.name
        self._group = settings.consumer.group
        self._letters = dead_letter_topic(self._topic, self._group)
        self._counts: dict[str, int] = {}
        self._newest: datetime | None = None
        self._opened: KafkaLook | None = None

    def checks(self) -> tuple[Check, ...]:
        """In their order."""
        return (
            Check(name="kafka", look=self._brokers, needs=("settings",)),
            Check(name="topic", look=self._events, needs=("kafka",)),
            Check(name="topic.read", look=self._may_read, needs=("topic",)),
            Check(name="topic.leaders", look=self._leaders, needs=("topic.read",)),
            Check(name="letters", look=self._same_count, needs=("topic",)),
            Check(name="letters.write", look=self._may_write, needs=("letters",)),
            Check(name="letters.settings", look=self._room, needs=("letters",)),
            Check(name="letters.done", look=self._done, needs=("letters",)),
            Check(name="group", look=self._may_join, needs=("kafka",)),
            Check(name="group.offsets", look=self._offsets, needs=("topic.leaders", "group")),
            Check(name="kafka.clock", look=self._clock, needs=("topic.leaders",)),
        )

    @property
    def _look(self) -> KafkaLook:
        if self._opened is None:
            self._opened = KafkaLook(self._settings.kafka)
        return self._opened

    async def _brokers(self) -> Finding:
        return Finding(str(self._look.brokers()))

    async def _events(self) -> Finding:
        return self._exists(self._topic, "Read")

    async def _may_read(self) -> Finding:
        rights = self._look.rights_on_topic(self._topic, "Read")
        return require_rights(rights, ("Read",), on=f"topic {self._topic}")

    async def _leaders(self) -> Finding:
        self._newest = self._look.newest(self._topic, self._counts[self._topic], "Read")
        return Finding("the leader of each partition answers")

    async def _same_count(self) -> Finding:
        found = self._exists(self._letters, "Write")
        require_same_count(*((name, self._counts[name]) for name in (self._topic, self._letters)))
        return found

    async def _may_write(self) -> Finding:
        rights = self._look.rights_on_topic(self._letters, "Write")
        return require_rights(rights, ("Write",), on=f"topic {self._letters}")

    async def _room(self) -> Finding:
        events, own = self._look.configurations(self._topic, self._letters)
        if not (events and own):
            raise NotAskedError("this user may not read the topics' settings (DescribeConfigs); `run` does without")
        check_room(self._letters, own, events=events)
        found = ", ".join(f"{name}={value}" for name, value in doubts(own, events=events).items())
        if not found:
            return Finding("it takes every letter and keeps it")
        return doubtful(
            f"{self._letters} has {found}: letters may be lost or refused one day: `dicomcast-producer topics apply "
            f"--group {self._group}` corrects it"
        )

    async def _done(self) -> Finding:
        done = done_topic(self._topic, self._group)
        if self._look.partitions_if_seen(done):
            return Finding(f"{done} is there")
        return doubtful(
            f"{done} does not exist, or this user may not see it; `dlq replay` alone needs it: `dicomcast-producer "
            f"topics apply --group {self._group}` creates it"
        )

    async def _may_join(self) -> Finding:
        rights = self._look.rights_on_group(self._group)
        return require_rights(rights, ("Read",), on=f"group {self._group}")

    async def _offsets(self) -> Finding:
        group = GroupAdmin(self._settings.kafka, topic=self._topic, group=self._group)
        members = group.members()
        text = offsets_text(self._topic, group.committed(), group.log_ends(), start=self._settings.consumer.start)
        return Finding(text if members is None else f"{text}, live members: {len(members)}")

    async def _clock(self) -> Finding:
        return broker_clock_finding(self._newest, datetime.now(UTC))

    def _exists(self, topic: str, right: str) -> Finding:
        self._counts[topic] = self._look.partitions(topic, right)
        require_topic(topic, self._counts[topic], group=self._group)
        return Finding(f"{topic} has {self._counts[topic]} partitions")
