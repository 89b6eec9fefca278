"""Members come and go with requests in flight, by both protocols: classic (cooperative-sticky) and KIP-848."""

import re
import signal
import time
from collections.abc import Iterator

import pytest
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_schemas import DicomChangeEvent

from tests.fakes.events import create, delete
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.consumer.test_group import expected, feed, produce, studies
from tests.services.fixtures import installed
from tests.services.peers import KafkaBroker

pytestmark = pytest.mark.slow

# KIP-848 has these at the broker; its defaults (45 s) are for production.
QUICK = {
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
}


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with installed(), KafkaBroker.started(QUICK) as kafka:
        yield kafka.bootstrap


@pytest.fixture(params=["classic", "consumer"])
def either(request: pytest.FixtureRequest, broker: str, fhir: RunningFhirServer) -> Line:
    return line_of(broker, fhir, protocol=request.param)


@pytest.fixture
def kip_848(broker: str, fhir: RunningFhirServer) -> Line:
    return line_of(broker, fhir, protocol="consumer")


def line_of(broker: str, fhir: RunningFhirServer, *, protocol: str) -> Line:
    line = Line.writing_to(fhir.base_url, bootstrap=broker, KAFKA__GROUP_PROTOCOL=protocol)
    if protocol == "consumer":
        del line.env["DICOMCAST_KAFKA__SESSION_TIMEOUT_MS"]
    return line


def assigned(member: Running) -> int:
    """How many partitions it was given so far; one that it gave back and got again counts twice."""
    lists = re.findall(r'event=partitions\.assigned partitions="?\[([\d, ]*)\]', member.text)
    return sum(len(one.split(",")) for one in lists if one)


def slow_writes(fhir: RunningFhirServer) -> None:
    """Each takes a while: a rebalance finds some in flight."""
    fhir.faults.drop(times=None, when=lambda seen: b'"transaction"' in seen.body and time.sleep(0.2) is not None)


def ordered(fhir: RunningFhirServer, line: Line, *members: Running) -> None:
    eventually(line.caught_up, lambda: "\n".join(member.text[-1500:] for member in members), members[0])


def test_members_join_and_leave_with_requests_in_flight(either: Line, fhir: RunningFhirServer) -> None:
    slow_writes(fhir)
    produce(either, feed(30, 2))
    with either.consumer() as one:
        eventually(lambda: bool(fhir.journal.writes()), running=one)
        with either.consumer() as two:
            eventually(lambda: assigned(two) > 0, lambda: two.text, two)
            produce(either, feed(30, 4))
            assert one.stop() == 0, one.text
            ordered(fhir, either, two)
            assert studies(fhir) == expected(30, 4)
            assert either.end_offsets(either.letters_topic) == dict.fromkeys(range(4), 0)
            assert "partitions.lost" not in one.text + two.text


def test_a_paused_partition_that_moves_and_comes_back_goes_on(either: Line, fhir: RunningFhirServer) -> None:
    """Paused in an assignment that is over: librdkafka remembers that, and the partition would stay paused for ever."""
    env = {"DICOMCAST_CONSUMER__MAX_WAITING_RECORDS": "10"}
    with either.consumer(env=env) as one:
        eventually(lambda: assigned(one) == 4, lambda: one.text, one)
        fhir.faults.answer(503, times=None, when=lambda seen: not seen.path.endswith("metadata"))
        produce(either, feed(10, 12))
        one.wait_for("breaker.opened")
        with either.consumer(env=env) as two:
            eventually(lambda: assigned(two) == 2, lambda: two.text, two)
            assert two.stop() == 0, two.text
        eventually(lambda: assigned(one) == 6, lambda: one.text, one)
        fhir.faults.clear()
        ordered(fhir, either, one)
        assert studies(fhir) == expected(10, 12)


def test_a_member_thawed_after_its_session_does_not_write(kip_848: Line, fhir: RunningFhirServer) -> None:
    """G2, as in test_group: frozen between read and write, thawed after a newer owner has deleted the study."""
    first: list[DicomChangeEvent] = [create(1, "1.1", "1.1.1")]
    with kip_848.consumer() as old:
        eventually(lambda: assigned(old) == 4, lambda: old.text, old)
        fhir.faults.hang(times=None, when=lambda seen: seen.path.endswith("_search"))
        produce(kip_848, first)
        eventually(lambda: fhir.faults.hanging() > 0, running=old)
        old.process.send_signal(signal.SIGSTOP)
        fhir.faults.clear()
        with kip_848.consumer() as new:
            ordered(fhir, kip_848, new)
            produce(kip_848, [delete(2, "1.1", "1.1.1")])
            ordered(fhir, kip_848, new)
            fhir.journal.clear()
            old.process.send_signal(signal.SIGCONT)
            old.wait_for("event=partitions.lost")
            time.sleep(1)
            assert fhir.journal.writes() == []
            assert studies(fhir) == {}


def test_a_static_member_comes_back_without_a_rebalance(broker: str, fhir: RunningFhirServer) -> None:
    """`group.instance.id` passes through: a restart within the session moves nothing."""
    static = {"DICOMCAST_KAFKA__GROUP_INSTANCE_ID": "a"}
    classic = line_of(broker, fhir, protocol="classic")  # KIP-848's session is the broker's, too short here
    classic.env["DICOMCAST_KAFKA__SESSION_TIMEOUT_MS"] = "45000"
    with classic.consumer(env={"DICOMCAST_KAFKA__GROUP_INSTANCE_ID": "b"}) as other:
        eventually(lambda: assigned(other) == 4, lambda: other.text, other)
        with classic.consumer(env=static) as one:
            eventually(lambda: assigned(one) == 2, lambda: one.text, one)
            assert one.stop() == 0, one.text
        before = assigned(other)
        with classic.consumer(env=static) as again:
            eventually(lambda: assigned(again) == 2, lambda: again.text, again)
            produce(classic, feed(8, 2))
            ordered(fhir, classic, again, other)
            assert studies(fhir) == expected(8, 2)
            assert assigned(other) == before


def test_a_second_member_with_the_same_instance_id_fences_the_first(either: Line) -> None:
    static = {"DICOMCAST_KAFKA__GROUP_INSTANCE_ID": "a"}
    with either.consumer(env=static) as one:
        eventually(lambda: assigned(one) == 4, lambda: one.text, one)
        with either.consumer(env=static) as two:
            ended = lambda: one.process.poll() is not None or two.process.poll() is not None  # noqa: E731
            eventually(ended, lambda: one.text + two.text)
            loser = one if one.process.poll() is not None else two
            assert loser.process.returncode == ExitCode.FENCED, loser.text
            assert "group.instance.id" in loser.text
