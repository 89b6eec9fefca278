"""G6: memory is bounded whatever the backlog, and a paused partition goes on."""

import time
from pathlib import Path

import pytest

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.consumer.test_group import produce, studies

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


def resident(running: Running) -> int:
    """Bytes of the process in memory."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def test_a_backlog_of_90_mib_while_fhir_is_away_is_not_held_in_memory(kafka: str, fhir: RunningFhirServer) -> None:
    line = Line.writing_to(
        fhir.base_url,
        bootstrap=kafka,
        partitions=2,
        CONSUMER__MAX_WAITING_BYTES="1000000",
        KAFKA__QUEUED_MAX_MESSAGES_KBYTES="2000",
        KAFKA__FETCH_MESSAGE_MAX_BYTES="500000",
        KAFKA__FETCH_MAX_BYTES="1000000",
    )
    with line.consumer() as member:
        member.wait_for("event=partitions.assigned")
        idle = resident(member)
        down = fhir.faults
        down.answer(503, times=None)
        long = "x" * 300_000
        events = [create(n, f"1.{n % 10}", f"1.{n % 10}.{n}", description=long) for n in range(1, 301)]
        produce(line, events, per_transaction=50)
        member.wait_for("breaker.opened")
        highest = 0
        for _ in range(40):
            highest = max(highest, resident(member))
            time.sleep(0.1)
        assert highest - idle < 45 * MIB
        down.clear()
        eventually(line.caught_up, lambda: member.text, member)
        assert sum(len(instances) for instances in studies(fhir).values()) == 300
