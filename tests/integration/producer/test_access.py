"""A Kafka that knows its clients, and one that is away: one clear error, or a quiet wait."""

from collections.abc import Iterator

import pytest

from tests.fakes.dicom_server import DicomServer
from tests.fakes.processes import eventually
from tests.integration.producer.conftest import Bridged, bridged
from tests.services.fixtures import _installed
from tests.services.peers import KafkaBroker
from tests.unit.producer.feeds import fill

JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="broker" password="b" user_broker="b" user_dicomcast="right";'
)
SASL_BROKER = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": JAAS,
}
SASL_CLIENT = {
    "DICOMCAST_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "DICOMCAST_KAFKA__SASL_MECHANISM": "PLAIN",
    "DICOMCAST_KAFKA__SASL_USERNAME": "dicomcast",
}


@pytest.fixture(scope="module")
def sasl_kafka() -> Iterator[str]:
    with _installed(KafkaBroker.started(SASL_BROKER)) as broker:
        yield broker.bootstrap


def run(line: Bridged, *args: str, expect: int, **env: str) -> str:
    with line.line.started("dicomcast_producer", *args, env=env) as running:
        assert running.process.wait(90) == expect, running.text
        return running.text


def test_with_the_right_password(dicom: DicomServer, sasl_kafka: str) -> None:
    line = bridged(dicom, sasl_kafka, **SASL_CLIENT, DICOMCAST_KAFKA__SASL_PASSWORD="right")
    fill(dicom.store, range(1, 4))
    run(line, "topics", "apply", expect=0)
    run(line, "run", "--exit-when-idle", expect=0)
    assert "cursor:         3" in run(line, "cursor", "show", expect=0)


@pytest.mark.parametrize("command", [("run",), ("topics", "plan"), ("cursor", "show")])
def test_with_the_wrong_one(dicom: DicomServer, sasl_kafka: str, command: tuple[str, ...]) -> None:
    line = bridged(dicom, sasl_kafka, **SASL_CLIENT, DICOMCAST_KAFKA__SASL_PASSWORD="hush-wrong")
    text = run(line, *command, expect=64)
    assert "DICOMCAST_KAFKA__" in text
    assert "hush" not in text
    assert text.count("\n") < 4


def test_a_property_that_does_not_exist(line: Bridged) -> None:
    text = run(line, "run", expect=64, DICOMCAST_KAFKA__NO_SUCH_THING="1")
    assert "no.such.thing" in text
    assert "Traceback" not in text


def test_a_kafka_that_is_away_is_waited_for_quietly(dicom: DicomServer) -> None:
    line = bridged(dicom, "127.0.0.1:9")
    with line.line.producer() as producer:
        producer.wait_for("kafka.waiting")
        assert "Connection refused" in producer.text
        assert producer.stop() == 0, producer.text
        assert producer.text.count("\n") < 3


def test_sigterm_while_kafka_is_away_with_an_open_transaction(dicom: DicomServer, own_kafka: KafkaBroker) -> None:
    line = bridged(dicom, own_kafka.bootstrap, DICOMCAST_PRODUCER__DRAIN_S="1")
    line.line.create_topics()
    fill(dicom.store, [1])
    with line.line.producer() as producer:
        producer.wait_for("feed.caught_up")
        # The commit is acknowledged before its markers are written: a broker killed in between is another story.
        eventually(lambda: line.sequences() == [1] and line.line.cursor() == 1)
        own_kafka.server.kill()
        fill(dicom.store, [2])
        producer.wait_for("kafka.waiting")
        assert producer.stop() == 69, producer.text
        assert "nothing is lost" in producer.text
    own_kafka.server.start()
    run(line, "run", "--exit-when-idle", expect=0)
    assert line.sequences() == [1, 2]
