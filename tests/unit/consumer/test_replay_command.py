"""`replay plan` and the joining of `replay apply` as a user sees them, without a broker."""

import contextlib

import pytest
from confluent_kafka import TopicPartition
from dicomcast_consumer import replay_command, replay_join
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.replay import Replay
from dicomcast_consumer.replay_plan import PartitionOffsets, plan_partitions
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import KafkaSettings
from typer.testing import CliRunner

KAFKA = KafkaSettings.model_validate({"bootstrap.servers": "127.0.0.1:9"})


@pytest.mark.parametrize(
    ("target", "said"),
    [("sequence:99999", "sequence 99999"), ("datetime:2126-05-01T02:00:00+02:00", "2126-05-01T00:00:00Z")],
)
def test_a_target_that_no_record_reaches_is_said_to_be_the_end(
    monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    planned = plan_partitions([PartitionOffsets(partition=0, begin=0, end=9, committed=8)], {0: 9})
    monkeypatch.setattr(Replay, "plan", lambda *_: planned)
    monkeypatch.setattr(replay_command, "TopicReader", lambda *_, **__: contextlib.nullcontext())
    environment = {"DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    found = CliRunner().invoke(app, ["replay", "plan", "--to", target], env=environment)
    assert found.exit_code == 0
    assert f"warning: the topic has no record from {said} on" in found.stderr
    assert "1 offset that the group has not read is passed over" in found.stderr
    assert "0 offsets again in all, 1 unread passed over." in found.stdout


class Waiting:
    """A consumer that is given nothing, as beside a live member."""

    def __init__(self, _: object) -> None:
        self.closed = False

    def subscribe(self, _: list[str]) -> None:
        pass

    def consume(self, _: int, *, timeout: float) -> list[object]:
        return []

    def assignment(self) -> list[TopicPartition]:
        return []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def alone_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_join, "ReadingConsumer", Waiting)
    monkeypatch.setattr(replay_join, "_WAIT_S", 0.0)


@pytest.mark.usefixtures("alone_no_more")
def test_a_group_that_lets_nobody_else_in_has_live_members_and_waiting_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ConfigurationError, match="has live members"):
        replay_join.OnlyMember(KAFKA, topic="t", group="g")({0: 5}, partitions=(0,))
    assert "joining g, for up to" in capsys.readouterr().err
