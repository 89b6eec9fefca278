"""What a member counts, and that no label holds a UID or anything of a patient."""

import asyncio

import structlog.testing
from dicomcast_consumer.mapping import MappingOptions
from prometheus_client import generate_latest

from tests.fakes.events import create, record, update
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, running_member


def test_what_is_left_out_filtered_reported_and_rejected_is_counted(fhir: RunningFhirServer) -> None:
    options = MappingOptions.model_validate({"exclude": {"modalities": ["SR"]}})
    events = [
        create(1, "1.777.1", "1.777.1.1", sex="QQ", study_date="20219999"),
        create(2, "1.777.1", "1.777.1.2", modality="SR"),
        create(3, "1.777.1", "1.777.1.3", patient_id="SECRET-2"),
        update(4, "1.777.1", "1.777.1.1", patient_id="SECRET-3"),
    ]

    async def scenario() -> Member:
        async with running_member(fhir.base_url, options=options) as member:
            for offset, event in enumerate(events):
                member.source.produce([record(event, offset=offset)])
                await member.committed(offset + 1)
            return member

    with structlog.testing.capture_logs() as logged:
        member = asyncio.run(scenario())
    registry = member.metrics.registry

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("dicomcast_attributes_left_out_total", attribute="PatientSex", reason="code_unknown") == 1
    assert value("dicomcast_attributes_left_out_total", attribute="StudyDate", reason="date_invalid") == 1
    assert value("dicomcast_events_passed_over_total", reason="excluded") == 1
    assert value("dicomcast_dead_letters_total", reason="map", code="map.patient_conflict") == 1
    assert value("dicomcast_reports_total", report="patient_changed") == 1
    text = generate_latest(registry).decode()
    assert "SECRET" not in text
    assert "1.777" not in text
    left_out = [line for line in logged if line["event"] == "attribute.left_out"]
    assert {(line["sop_instance_uid"], line["attribute"], line["reason"]) for line in left_out} == {
        ("1.777.1.1", "PatientSex", "code_unknown"),
        ("1.777.1.1", "StudyDate", "date_invalid"),
    }
    assert "QQ" not in str(logged)
