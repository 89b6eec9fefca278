"""The Kafka thread polls whatever goes on with FHIR: a member keeps its place in the group."""

import re
import time

import pytest

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import expected, feed, produce, studies

pytestmark = pytest.mark.slow

LOST = re.compile(r"event=\S*lost")
SHORT = {"DICOMCAST_KAFKA__MAX_POLL_INTERVAL_MS": "8000", "DICOMCAST_CONSUMER__DRAIN_S": "3"}


def test_an_outage_longer_than_max_poll_interval_costs_no_membership(line: Line, fhir: RunningFhirServer) -> None:
    with line.consumer(env=SHORT) as member:
        member.wait_for("assigned")
        fhir.faults.answer(503, times=None)
        produce(line, feed(6, 2))
        member.wait_for("breaker.opened")
        time.sleep(12)
        assert member.process.poll() is None, member.text
        assert not LOST.search(member.text)
        fhir.faults.clear()
        eventually(line.caught_up, lambda: member.text, member)
        assert studies(fhir) == expected(6, 2)


def test_a_write_that_hangs_does_not_hold_a_rebalance_up(line: Line, fhir: RunningFhirServer) -> None:
    """The drain of a revocation is bounded; the write that did not end in it is an orphan."""
    with line.consumer(env=SHORT) as old:
        old.wait_for("assigned")
        fhir.faults.hang(times=None, when=lambda seen: seen.method == "POST" and seen.path == "/fhir")
        produce(line, [create(n, f"1.{n}", f"1.{n}.1") for n in range(1, 20)])
        eventually(lambda: fhir.faults.hanging() > 0, running=old)
        with line.consumer(env=SHORT) as new:
            eventually(lambda: "revoked" in old.text, running=old)
            eventually(lambda: 'partitions="[' in new.text, lambda: new.text + old.text, new, within_s=30)
            assert old.process.poll() is None, old.text
            assert not LOST.search(old.text)
            fhir.faults.clear()
            eventually(line.caught_up, lambda: new.text, new)
    assert len(studies(fhir)) == 19
