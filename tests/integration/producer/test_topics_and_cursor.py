"""The commands besides `run`, and reading the cursor where other transactions are open."""

import json
import uuid
from collections.abc import Callable

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from dicomcast_producer.cursor import CURSOR_KEY, Cursor, CursorReader, Identity, cursor_json
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.position import Position
from dicomcast_producer.publisher import transactional_id
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import cursor_topic, dead_letter_topic, done_topic

from tests.fakes.processes import eventually
from tests.integration.producer.conftest import Bridged
from tests.unit.producer.feeds import fill

IDENTITY = Identity(feed="pacs", url="http://pacs", api_version="v1", partitions=4, topic_id=None)


def command(line: Bridged, *args: str, expect: int = 0, **env: str) -> str:
    with line.line.started("dicomcast_producer", *args, env=env) as running:
        assert running.process.wait(90) == expect, running.text
        return running.text


@pytest.fixture
def no_topics(line: Bridged) -> Bridged:
    line.line.topic = f"t.{uuid.uuid4().hex[:12]}"
    line.line.env["DICOMCAST_TOPIC__NAME"] = line.line.topic
    return line


def config_of(line: Bridged, topic: str) -> dict[str, str]:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.line.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource]).values()
    return {name: entry.value for name, entry in future.result(30).items()}


def partitions_of(line: Bridged, topic: str) -> int:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.line.bootstrap})
    return len(admin.list_topics(topic, timeout=30).topics[topic].partitions)


def test_apply_makes_the_four_kinds_of_topic(no_topics: Bridged) -> None:
    topic = no_topics.line.topic
    planned = command(no_topics, "topics", "plan", "--group", "a", "--group", "b")
    assert planned.count("create with 4 partitions") == 3
    assert planned.count("create with 1 partitions") == 3
    assert (
        topic
        not in AdminClient({"log_level": 0, "bootstrap.servers": no_topics.line.bootstrap})
        .list_topics(timeout=30)
        .topics
    )
    command(no_topics, "topics", "apply", "--group", "a", "--group", "b", DICOMCAST_TOPIC__RETENTION_DAYS="30")
    events, letters = config_of(no_topics, topic), config_of(no_topics, dead_letter_topic(topic, "b"))
    cursor = config_of(no_topics, cursor_topic(topic))
    assert events["message.timestamp.type"] == letters["message.timestamp.type"] == "LogAppendTime"
    assert (events["cleanup.policy"], letters["cleanup.policy"], cursor["cleanup.policy"]) == (
        "delete",
        "delete",
        "compact",
    )
    assert (events["retention.ms"], letters["retention.ms"]) == (str(30 * 86_400_000), "-1")
    assert int(letters["max.message.bytes"]) == int(events["max.message.bytes"]) + 65_536
    assert config_of(no_topics, done_topic(topic, "b"))["cleanup.policy"] == "compact"
    names = (topic, dead_letter_topic(topic, "a"), dead_letter_topic(topic, "b"), cursor_topic(topic))
    assert [partitions_of(no_topics, name) for name in (*names, done_topic(topic, "a"))] == [4, 4, 4, 1, 1]


def test_apply_corrects_settings_and_then_has_nothing_to_do(line: Bridged) -> None:
    assert "max.message.bytes=1001024" in command(line, "topics", "plan", "--group", "g")
    assert "4 topics created or changed" in command(line, "topics", "apply", "--group", "g")
    assert "nothing to do" in command(line, "topics", "apply", "--group", "g")


def test_apply_refuses_another_partition_count_and_changes_nothing(line: Bridged) -> None:
    before = config_of(line, line.line.topic)
    text = command(line, "topics", "apply", expect=78, DICOMCAST_TOPIC__PARTITIONS="9")
    assert "has 4 partitions and should have 9" in text
    assert config_of(line, line.line.topic) == before
    assert partitions_of(line, line.line.topic) == 4


def test_an_unknown_topic_is_one_clear_error(no_topics: Bridged) -> None:
    text = command(no_topics, "run", expect=78)
    assert f"there is no topic {no_topics.line.topic}" in text
    assert "topics apply" in text


def test_a_topic_for_smaller_records_is_one_clear_error(line: Bridged) -> None:
    text = command(line, "run", expect=64, DICOMCAST_TOPIC__MAX_RECORD_BYTES="5000000")
    assert "max.message.bytes=1048588" in text


def test_cursor_show_before_and_after(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 6))
    assert "cursor:         none" in command(line, "cursor", "show")
    command(line, "run", "--exit-when-idle")
    fill(line.dicom.store, [6, 7])
    shown = command(line, "cursor", "show")
    for text in ("cursor:         5\n", "feed latest:    7\n", "lag:            2\n", line.dicom.base_url):
        assert text in shown


def test_cursor_set_without_yes_and_a_terminal_changes_nothing(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 6))
    command(line, "run", "--exit-when-idle")
    assert "add --yes" in command(line, "cursor", "set", "--to", "beginning", expect=64)
    assert line.line.cursor() == 5


def test_cursor_set_takes_over_another_identity(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 6))
    command(line, "run", "--exit-when-idle")
    line.line.env["DICOMCAST_FEED__NAME"] = "pacs2"
    assert "feed: pacs, now pacs2" in command(line, "run", "--exit-when-idle", expect=78)
    command(line, "cursor", "set", "--to", "now", "--yes")
    fill(line.dicom.store, [6])
    command(line, "run", "--exit-when-idle")
    assert [(e.feed, e.sequence) for e in line.events()][-1] == ("pacs2", 6)


def test_a_peer_that_is_away_ends_a_command_with_69(line: Bridged) -> None:
    assert "cannot be read" in command(line, "cursor", "show", expect=69, DICOMCAST_FEED__URL="http://127.0.0.1:9")


class CursorTopic:
    """The cursor topic with producers of other transactional ids."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._producers: list[confluent_kafka.Producer] = []

    def write(self, sequence: int, *, transaction: str, commit: bool = True) -> Callable[[], None]:
        """A cursor in a transaction; returns what ends it when it is left open."""
        producer = confluent_kafka.Producer(
            {"log_level": 0, "bootstrap.servers": self._bootstrap, "transactional.id": transaction}
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        cursor = Cursor(identity=IDENTITY, position=Position(sequence=sequence), instance="i")
        producer.produce(cursor_topic(self._topic), cursor_json(cursor), CURSOR_KEY, partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        self._producers.append(producer)
        return lambda: producer.abort_transaction(30)

    def read(self, *, timeout_s: float = 30.0) -> int | None:
        settings = KafkaSettings.model_validate({"log_level": 0, "bootstrap.servers": self._bootstrap})
        cursor = CursorReader(settings, self._topic, timeout_s=timeout_s).read()
        return None if cursor is None else cursor.position.sequence


@pytest.fixture
def cursors(line: Bridged) -> CursorTopic:
    topic = CursorTopic(line.line.bootstrap, line.line.topic)

    def has_a_leader() -> bool:
        try:
            return topic.read() is None
        except RetryableError:
            return False

    eventually(has_a_leader)
    return topic


def test_no_cursor_is_none(cursors: CursorTopic) -> None:
    assert cursors.read() is None


def test_the_newest_of_many(cursors: CursorTopic, line: Bridged) -> None:
    for sequence in (1, 3, 9):
        cursors.write(sequence, transaction=transactional_id(line.line.topic))
    assert cursors.read() == 9


def test_an_aborted_cursor_never_happened(cursors: CursorTopic) -> None:
    cursors.write(3, transaction="t1")
    cursors.write(9, transaction="t1", commit=False)()
    assert cursors.read() == 3


def test_only_aborted_cursors_are_none(cursors: CursorTopic) -> None:
    cursors.write(9, transaction="t1", commit=False)()
    assert cursors.read() is None


def test_newer_cursors_behind_an_open_transaction_are_not_overlooked(cursors: CursorTopic) -> None:
    """read_committed ends at the last stable offset: there the cursor would seem to be 3."""
    cursors.write(3, transaction="t1")
    end = cursors.write(4, transaction="t2", commit=False)
    cursors.write(5, transaction="t1")
    with pytest.raises(RetryableError, match="another transaction is open"):
        cursors.read(timeout_s=3.0)
    end()
    assert cursors.read() == 5


def test_a_topic_that_cannot_be_read_is_an_error_and_not_none(line: Bridged) -> None:
    with pytest.raises(RetryableError):
        CursorTopic(line.line.bootstrap, "no.such.topic").read(timeout_s=3.0)


def test_a_cursor_of_a_later_release_stops(cursors: CursorTopic, line: Bridged) -> None:
    producer = confluent_kafka.Producer({"log_level": 0, "bootstrap.servers": line.line.bootstrap})
    producer.produce(cursor_topic(line.line.topic), json.dumps({"version": 2}), CURSOR_KEY, partition=0)
    producer.flush(30)
    with pytest.raises(BrokenContractError, match="version 2"):
        cursors.read()
