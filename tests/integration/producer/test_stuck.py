"""A producer of which a thread is stuck ends itself, and another one goes on."""

import pytest
from dicomcast_runtime.exit_codes import ExitCode

from tests.integration.producer.conftest import Bridged
from tests.unit.producer.feeds import fill

pytestmark = pytest.mark.slow


def test_a_stuck_kafka_thread_ends_the_process_and_another_one_goes_on(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 11))
    with line.line.started("tests.integration.producer.stuck_producer") as stuck:
        assert stuck.process.wait(90) == ExitCode.WATCHDOG, stuck.text
        assert 'event=watchdog.stuck what="kafka thread"' in stuck.text
    with line.line.producer("--exit-when-idle") as again:
        assert again.process.wait(90) == 0, again.text
    assert line.sequences() == list(range(1, 11))
