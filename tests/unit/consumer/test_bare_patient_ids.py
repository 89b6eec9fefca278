"""PatientIDs without a system collide between sites: a member that runs so says it once."""

import pytest
import structlog.testing
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_consumer.run import warn_of_bare_patient_ids

PACS = {"dicomweb_url": "https://pacs.example/dicom-web"}
SYSTEM = "https://hospital.example/mrn"


@pytest.mark.parametrize(
    ("sources", "mapping", "feeds"),
    [
        ({"a": PACS, "b": {**PACS, "patient_system": SYSTEM}}, {}, [["a"]]),
        ({"a": {**PACS, "patient_system": SYSTEM}}, {}, []),
        ({"a": PACS}, {"patient": {"system": SYSTEM}}, []),
    ],
)
def test_it_names_the_feeds(sources: dict[str, object], mapping: dict[str, object], feeds: list[list[str]]) -> None:
    settings = ConsumerSettings.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:9"},
            "fhir": {"url": "http://127.0.0.1:9"},
            "sources": sources,
            "mapping": mapping,
        }
    )
    with structlog.testing.capture_logs() as logged:
        warn_of_bare_patient_ids(settings)
    assert [line["feeds"] for line in logged] == feeds
