"""Kafka away, frozen, and back; producer and consumer as processes between the sandbox's DICOM and FHIR servers."""

import time

import httpx
import pytest
from dicomcast_schemas import decode
from pydicom.uid import generate_uid

from tests.fakes.dicom_server import DicomServer
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.instances import store_instances
from tests.services.peers import KafkaBroker

pytestmark = pytest.mark.slow


@pytest.fixture
def line(own_kafka: KafkaBroker, fhir: RunningFhirServer, dicom: DicomServer) -> Line:
    line = Line(
        bootstrap=own_kafka.bootstrap,
        env={
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_FEED__POLL_INTERVAL_S": "0.5",
            "DICOMCAST_FEED__GAP_SETTLE_S": "0",
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": f"{dicom.base_url}/v2",
        },
    )
    line.create_topics()
    return line


def instances(fhir: RunningFhirServer) -> set[str]:
    page = httpx.get(f"{fhir.base_url}/ImagingStudy", params={"_count": "500"}).json()
    studies = [entry["resource"] for entry in page.get("entry", [])]
    return {i["uid"] for study in studies for series in study.get("series", []) for i in series["instance"]}


def arrived(line: Line, fhir: RunningFhirServer, wanted: set[str], *running: Running) -> None:
    def explain() -> str:
        return "\n".join(process.text[-2500:] for process in running)

    eventually(lambda: instances(fhir) == wanted and line.caught_up(), explain, running[0], within_s=150)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_kafka_away_nothing_is_lost_and_both_go_on_by_themselves(
    how: str, line: Line, own_kafka: KafkaBroker, fhir: RunningFhirServer, dicom: DicomServer
) -> None:
    with line.producer() as producer, line.consumer() as consumer:
        wanted = store_instances(dicom.base_url, study=generate_uid(), count=3)
        arrived(line, fhir, wanted, consumer, producer)
        # The last commit's markers are written: a broker killed before that is another story.
        eventually(lambda: line.cursor() == 3)
        if how == "kill":
            own_kafka.server.kill()
        else:
            own_kafka.server.freeze()
        wanted |= store_instances(dicom.base_url, study=generate_uid(), count=3)
        time.sleep(20)
        assert producer.process.poll() is None, producer.text
        assert consumer.process.poll() is None, consumer.text
        if how == "kill":
            own_kafka.server.start()
        else:
            own_kafka.server.thaw()
        wanted |= store_instances(dicom.base_url, study=generate_uid(), count=3)
        arrived(line, fhir, wanted, consumer, producer)
        producer_log = producer.text
    # Once each, unless the broker left a transaction open: then its last event is there again (docs/producer.md).
    sequences = [decode(value).sequence for _, value in line.records()]
    assert sorted(set(sequences)) == list(range(1, 10))
    assert len(sequences) - 9 <= producer_log.count("event=transaction.left_open")
    assert line.records(line.letters_topic) == []
