"""replay and status: the same on a real broker and on the sandbox's mock cluster, and what only a real one tells."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Consumer
from dicomcast_consumer.group_admin import GroupAdmin
from dicomcast_consumer.replay import apply_offsets
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_sandbox.kafka import MockCluster
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import create
from tests.fakes.processes import Line
from tests.integration.consumer_commands.clusters import PARTITIONS, Cluster
from tests.services.kafka_tools import kafka_consumer_groups
from tests.services.peers import KafkaBroker

STUDIES = [f"1.2.{n}" for n in range(1, 8)]
EVENTS = [create(n * 10, STUDIES[n % 7], f"1.2.3.{n}") for n in range(1, 81)]


def partition_of(study: str) -> int:
    return partition_for(study.encode(), PARTITIONS)


@pytest.fixture
def real(kafka: str) -> Cluster:
    cluster = Cluster.with_topics(kafka)
    cluster.produce(EVENTS)
    return cluster


@pytest.fixture
def mock() -> Iterator[Cluster]:
    with MockCluster() as cluster:
        found = Cluster(bootstrap=cluster.bootstrap_servers, topic="t", transactional=False)
        cluster.touch([found.topic, found.letters])
        found.produce(EVENTS)
        yield found


@pytest.fixture(params=["real", "mock"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    found: Cluster = request.getfixturevalue(request.param)
    return found


class TestOnBoth:
    """The contract of the commands."""

    def test_apply_resets_and_status_shows_it(self, cluster: Cluster) -> None:
        with cluster.live_member(commit=True):
            pass
        before = cluster.run("status", "--json").document
        assert before["lag"] == 0
        assert before["oldest_unfinished_age_s"] is None
        result = cluster.run("replay", "apply", "--to", "earliest", "--yes")
        assert result.code == 0, result.err
        assert cluster.committed() == dict.fromkeys(range(PARTITIONS), 0)
        after = cluster.run("status", "--json").document
        assert after["lag"] == sum(each["end"] for each in after["partitions"]) >= len(EVENTS)
        assert after["oldest_unfinished_age_s"] is not None

    def test_apply_of_a_sequence_begins_each_partition_at_its_first_event(self, cluster: Cluster) -> None:
        wanted = {partition_of(e.study_instance_uid) for e in EVENTS if e.sequence >= 405}
        planned = cluster.run("replay", "plan", "--to", "sequence:405", "--json").document["partitions"]
        for each in planned:
            count = sum(partition_of(e.study_instance_uid) == each["partition"] for e in EVENTS if e.sequence >= 405)
            assert each["end"] - each["target"] >= count
            assert (each["target"] < each["end"]) == (each["partition"] in wanted)
        assert cluster.run("replay", "apply", "--to", "sequence:405", "--yes").code == 0
        assert cluster.committed() == {each["partition"]: each["target"] for each in planned}

    def test_a_study_moves_its_partition_alone(self, cluster: Cluster) -> None:
        partition = partition_of("1.2.3")
        assert cluster.run("replay", "apply", "--to", "latest", "--yes").code == 0
        before = cluster.committed()
        assert cluster.run("replay", "apply", "--study", "1.2.3", "--yes").code == 0
        after = cluster.committed()
        assert after[partition] < before[partition]
        assert {p: o for p, o in after.items() if p != partition} == {p: o for p, o in before.items() if p != partition}

    def test_a_study_that_is_not_there_is_65(self, cluster: Cluster) -> None:
        result = cluster.run("replay", "plan", "--study", "9.9.9")
        assert (result.code, "no event of the study" in result.err) == (65, True)

    def test_plan_changes_nothing(self, cluster: Cluster) -> None:
        before = cluster.committed()
        assert cluster.run("replay", "plan", "--to", "earliest").code == 0
        assert cluster.committed() == before

    def test_live_members_are_refused_and_nothing_is_reset(self, cluster: Cluster) -> None:
        with cluster.live_member(commit=True) as member, polled(member):
            before = cluster.committed()
            result = cluster.run("replay", "apply", "--to", "earliest", "--yes")
            assert (result.code, "live members" in result.err) == (64, True)
            assert cluster.committed() == before

    def test_without_terminal_nothing_is_reset_without_yes(self, cluster: Cluster) -> None:
        result = cluster.run("replay", "apply", "--to", "earliest")
        assert (result.code, "--yes" in result.err) == (64, True)
        assert set(cluster.committed().values()) == {-1001}


@contextmanager
def polled(member: Consumer) -> Iterator[None]:
    """Polls a member in a thread, as a live one does."""
    ended = Event()

    def poll() -> None:
        while not ended.is_set():
            member.poll(0.1)

    thread = Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class TestOnARealBroker:
    """What the mock cluster cannot tell or keep."""

    def test_members_are_named(self, real: Cluster) -> None:
        with real.live_member(commit=True):
            status = real.run("status", "--json").document
            assert [(m["client_id"], m["partitions"]) for m in status["members"]] == [("live-one", [0, 1, 2, 3])]
            assert {each["member"] for each in status["partitions"]} == {"live-one"}
            refused = real.run("replay", "apply", "--to", "earliest", "--yes")
            assert "live-one at " in refused.err
        assert real.run("status", "--json").document["members"] == []

    def test_a_refused_partition_is_found_though_the_client_raises_nothing(
        self, real: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Members that joined after the look at the group."""
        kafka = KafkaSettings({"log_level": 0, "bootstrap.servers": real.bootstrap})
        admin = GroupAdmin(kafka, topic=real.topic, group=real.group)
        with real.live_member(commit=True):
            monkeypatch.setattr(admin, "members", lambda: ())
            before = admin.committed()
            # To where it is already: reading back alone would not find the refusal.
            wanted = {partition: offset for partition, offset in before.items() if offset is not None}
            with pytest.raises(ConfigurationError, match="UNKNOWN_MEMBER_ID for partitions 0, 1, 2, 3"):
                apply_offsets(admin, wanted, join=_no_join)
            assert admin.committed() == before

    def test_by_arrival(self, real: Cluster) -> None:
        now = datetime.now(UTC)
        past = real.run("replay", "plan", "--to", "duration:1h", "--json").document["partitions"]
        assert [each["target"] for each in past] == [0] * PARTITIONS
        later = f"datetime:{(now + timedelta(days=1)).isoformat()}"
        future = real.run("replay", "plan", "--to", later, "--json").document["partitions"]
        assert [each["target"] for each in future] == [each["end"] for each in future]

    def test_a_target_outside_the_log_is_moved_with_a_warning(self, real: Cluster) -> None:
        result = real.run("replay", "apply", "--to", "0:100000", "--yes")
        assert result.code == 0
        assert "beyond the end" in result.err
        assert real.committed()[0] < 100_000

    def test_kafkas_own_tool_takes_the_csv(self, real: Cluster, tmp_path: Path) -> None:
        path = tmp_path / "offsets.csv"
        assert real.run("replay", "plan", "--to", "sequence:405", "--csv", str(path)).code == 0
        with path.open(newline="") as lines:
            wanted = {int(partition): int(offset) for _, partition, offset in csv.reader(lines)}
        assert len(wanted) == PARTITIONS
        kafka_consumer_groups(real.bootstrap, real.group, "--reset-offsets", "--from-file", str(path), "--execute")
        assert real.committed() == wanted

    def test_what_kafkas_own_tool_reset_is_what_status_shows(self, real: Cluster) -> None:
        kafka_consumer_groups(
            real.bootstrap, real.group, "--reset-offsets", "--topic", real.topic, "--to-earliest", "--execute"
        )
        status = real.run("status", "--json").document
        assert [each["committed"] for each in status["partitions"]] == [0] * PARTITIONS

    def test_a_topic_that_does_not_exist_is_78(self, kafka: str) -> None:
        result = Cluster(bootstrap=kafka, topic="no.such.topic").run("status")
        assert (result.code, "no.such.topic" in result.err) == (78, True)


def _no_join(*_: object, **__: object) -> None:
    raise AssertionError("the group was joined")


def test_status_is_what_a_new_broker_is_asked_first(own_kafka: KafkaBroker) -> None:
    """Its coordinators are still loading, at which librdkafka's admin client ends the process."""
    line = Line(bootstrap=own_kafka.bootstrap)
    line.create_topics()
    with line.started("dicomcast_consumer", "status") as running:
        assert running.process.wait(90) == 0, running.text
