"""A record that nobody of ours wrote, on a real broker: what docs/troubleshooting.md says of it, step by step."""

import re

from confluent_kafka import Producer
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import done, expected, feed, produce, studies
from tests.integration.consumer_commands.test_dlq_replay import command

FOREIGN = b"\xc3\x01" + b"12345678" + b"of a schema that is unknown"


def test_all_before_it_is_applied_and_passing_over_it_loses_nothing(line: Line, fhir: RunningFhirServer) -> None:
    """Bug put back: good events before it, of its own study too, are passed over with it."""
    produce(line, feed(8, 3))
    place = partition_for(b"1.1", line.partitions)
    producer = Producer({"log_level": 0, "bootstrap.servers": line.bootstrap})
    producer.produce(line.topic, key=b"1.1", value=FOREIGN, partition=place)
    producer.flush(30)
    produce(line, [create(100 + s, f"1.{s}", f"1.{s}.4", patient_id=f"P{s % 5}") for s in range(1, 9)])

    with line.consumer(env={"DICOMCAST_LOG__LEVEL": "info"}) as member:
        member.wait_for("partition.stands")
        found = re.search(r"partition\.stands.* offset=(\d+)", member.text)
        assert found, member.text
        offset = int(found[1])
        others = {p: end for p, end in line.end_offsets().items() if p != place}
        eventually(lambda: line.committed() == {**others, place: offset}, lambda: f"{line.committed()}", member)
        assert studies(fhir)["1.1"] == ["1.1.1", "1.1.2", "1.1.3"]
        assert "consumer.caught_up" not in member.text
        assert member.stop() == ExitCode.CONTRACT
    assert re.search(rf" {place} +{offset} ", command(line, "status"))

    command(line, "replay", "apply", "--to", f"{place}:{offset + 1}", "--yes")
    with line.consumer() as member:
        done(line, member)
        assert member.stop() == 0
    assert studies(fhir) == expected(8, 4)
