"""A stuck process ends itself before Kafka gives its partitions away; signals end one that is well."""

import signal

import pytest
from dicomcast_runtime.exit_codes import ExitCode

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import expected, feed, produce, studies

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("where", "what"), [("kafka", "kafka thread"), ("loop", "event loop")])
def test_a_stuck_thread_ends_the_process_and_another_member_goes_on(
    line: Line, fhir: RunningFhirServer, where: str, what: str
) -> None:
    env = {"DICOMCAST_KAFKA__MAX_POLL_INTERVAL_MS": "8000"}
    with line.started("tests.integration.consumer.stuck_member", where, env=env) as stuck:
        stuck.wait_for("partitions.assigned")
        produce(line, feed(4, 2))
        assert stuck.process.wait(90) == ExitCode.WATCHDOG, stuck.text
        assert "event=watchdog.stuck" in stuck.text
        assert f'what="{what}"' in stuck.text
        assert "partitions.lost" not in stuck.text
    with line.consumer() as member:
        eventually(line.caught_up, lambda: member.text, member)
        assert studies(fhir) == expected(4, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_there_is_a_member_ends_with_0(line: Line, fhir: RunningFhirServer, number: int) -> None:
    fhir.faults.answer(503, times=None)
    with line.consumer() as member:
        member.wait_for("fhir_server.waiting")
        member.process.send_signal(number)
        assert member.process.wait(60) == 0, member.text
        assert "Traceback" not in member.text


def test_a_signal_while_kafka_is_away_ends_with_0(line: Line) -> None:
    with line.consumer(env={"DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}) as member:
        member.wait_for("kafka.waiting")
        assert member.stop() == 0, member.text
        assert "Traceback" not in member.text


def test_a_write_that_is_never_answered_is_cut_off_after_the_grace(line: Line, fhir: RunningFhirServer) -> None:
    with line.consumer(env={"DICOMCAST_CONSUMER__DRAIN_S": "1"}) as member:
        member.wait_for("partitions.assigned")
        fhir.faults.hang(times=None, when=lambda seen: b'"transaction"' in seen.body)
        produce(line, [create(1, "1.1", "1.1.1")])
        eventually(lambda: fhir.faults.hanging() > 0, running=member)
        assert member.stop() == 0, member.text
        assert "event=consumer.cut_off writes=1" in member.text.replace("level=warning ", "")
    fhir.faults.clear()
    with line.consumer() as member:
        eventually(line.caught_up, lambda: member.text, member)
        assert studies(fhir) == {"1.1": ["1.1.1"]}
