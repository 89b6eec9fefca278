"""What the page reads of Kafka: the letters, again only when there are new ones; a study's events, backwards."""

import pytest
from dicomcast_consumer.web import study_io
from dicomcast_consumer.web.shelf import Shelf
from dicomcast_consumer.web.study_io import StudyTopic
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import create
from tests.integration.consumer_commands.clusters import PARTITIONS, Cluster

STUDIES = [f"1.2.{n}" for n in range(1, 8)]
EVENTS = [create(n, STUDIES[n % 7], f"1.2.3.{n}") for n in range(1, 81)]


def settings(cluster: Cluster) -> KafkaSettings:
    return KafkaSettings({"log_level": 0, "bootstrap.servers": cluster.bootstrap})


def shelf(cluster: Cluster, group: str | None = None) -> Shelf:
    return Shelf(settings(cluster), topic=cluster.topic, group=group or cluster.group)


def topic(cluster: Cluster) -> StudyTopic:
    return StudyTopic(settings(cluster), topic=cluster.topic, group=cluster.group, schema_by_id=None)


@pytest.fixture
def cluster(kafka: str) -> Cluster:
    return Cluster.with_topics(kafka)


def test_letters_are_read_again_only_when_there_are_new_ones(cluster: Cluster) -> None:
    cluster.reject(create(1, "1.2.1", "1.2.1.1"), "fhir.refused")
    found = shelf(cluster)
    first = found.kept()
    assert [each.letter.sequence for each in first] == [1]
    assert found.kept() is first
    cluster.reject(create(2, "1.2.2", "1.2.2.1"), "fhir.refused")
    second = found.kept()
    assert sorted(str(each.letter.sequence) for each in second) == ["1", "2"]
    place = second[0].letter
    record = found.record(place.partition, place.offset)
    assert record is not None
    assert record.key == place.study_instance_uid.encode()
    assert found.record(0, 99) is None


def test_a_group_without_a_dead_letter_topic_is_told_so(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match=r"other\.dlq does not exist"):
        shelf(cluster, group="other").kept()


@pytest.mark.parametrize("window", [1, 3, 5_000])
def test_a_study_is_found_backwards_whatever_the_window(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(study_io, "_WINDOW", window)
    cluster.produce(EVENTS)
    found = topic(cluster).trace("1.2.3", depth=None)
    wanted = [event.sequence for event in EVENTS if event.study_instance_uid == "1.2.3"]
    assert [each.sequence for each in found.events] == wanted[::-1]
    assert found.partition == partition_for(b"1.2.3", PARTITIONS)
    assert found.whole
    assert found.waiting == len(wanted), "a group without offset has passed nothing"


def test_what_the_group_has_passed_is_done_and_a_depth_is_kept(cluster: Cluster) -> None:
    cluster.produce(EVENTS)
    with cluster.live_member(commit=True):
        pass
    found = topic(cluster).trace("1.2.3", depth=4)
    assert found.looked_from == found.end - 4
    assert not found.whole
    assert found.waiting == 0
    assert topic(cluster).trace("9.9", depth=None).events == ()


def test_of_a_large_study_the_newest_events_are_kept(cluster: Cluster) -> None:
    cluster.produce([create(n, "1.2.3", f"1.2.3.{n}") for n in range(1, 70)])
    found = topic(cluster).trace("1.2.3", depth=None)
    assert [each.sequence for each in found.events] == list(range(69, 19, -1))
    assert found.more
    assert not found.whole
