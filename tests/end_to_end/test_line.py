"""DICOM files sent by storescu to a real Orthanc become FHIR resources on a real HAPI, through a real Kafka."""

import httpx
import pytest
from dicomcast_schemas import decode

from tests.end_to_end.conftest import FILES, RealLine, generate_uid
from tests.fakes.processes import eventually
from tests.services.kafka_tools import kafka_consumer_groups

pytestmark = pytest.mark.slow


def versions(real: RealLine) -> dict[str, str]:
    """Version by resource, of this test's Patient and studies."""
    resources = [*real.patients(), *real.studies().values()]
    return {f"{r['resourceType']}/{r['id']}": r["meta"]["versionId"] for r in resources}


def instances(study: dict[str, object]) -> set[str]:
    return {i["uid"] for series in study.get("series", []) for i in series["instance"]}  # type: ignore[attr-defined]


def test_files_become_resources_field_by_field_and_again_nothing(real: RealLine) -> None:
    studies = {name: generate_uid() for name in FILES}
    files = [real.dicom_file(name, study=study) for name, study in studies.items()]
    with real.line.producer() as producer, real.line.consumer() as consumer:
        real.store(files)
        real.applied(consumer, producer)
        found = real.studies()
        assert set(found) == set(studies.values())

        (patient,) = real.patients()
        assert patient["identifier"] == [{"value": real.patient_id}]
        ct = found[studies["CT_small.dcm"]]
        assert ct["subject"] == {"reference": f"Patient/{patient['id']}"}
        assert ct["status"] == "available"
        assert [m["code"] for m in ct["modality"]] == ["CT"]
        assert ct["modality"][0]["system"] == "http://dicom.nema.org/resources/ontology/DCM"
        assert ct["started"] == "2004-01-19T07:27:30-05:00"  # the file says (0008,0201) -0500
        assert ct["description"] == ct["note"][0]["text"] == "e+1"
        assert (ct["numberOfSeries"], ct["numberOfInstances"]) == (1, 1)
        (series,) = ct["series"]
        assert series["uid"] == f"{studies['CT_small.dcm']}.1"
        assert series["number"] == 1
        assert series["modality"]["code"] == "CT"
        (instance,) = series["instance"]
        assert instance["uid"] == files[0].stem
        assert instance["number"] == 1
        assert instance["sopClass"] == {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
        modalities = {name: [m["code"] for m in found[study]["modality"]] for name, study in studies.items()}
        assert modalities == {
            "CT_small.dcm": ["CT"],
            "MR_small.dcm": ["MR"],
            "test-SR.dcm": ["SR"],
            "rtplan.dcm": ["RTPLAN"],
        }

        before = versions(real)
        real.store(files)
        real.applied(consumer, producer)
        assert versions(real) == before


def test_deleting_an_instance_a_series_a_study_removes_exactly_that(real: RealLine) -> None:
    study, other = generate_uid(), generate_uid()
    first = [real.dicom_file("CT_small.dcm", study=study, InstanceNumber=n) for n in (1, 2)]
    second = real.dicom_file("CT_small.dcm", study=study, series=f"{study}.2")
    alone = real.dicom_file("MR_small.dcm", study=other)
    with real.line.producer() as producer, real.line.consumer() as consumer:
        real.store([*first, second, alone])
        real.applied(consumer, producer)
        assert instances(real.studies()[study]) == {path.stem for path in (*first, second)}

        real.delete("instances", first[0].stem)
        real.applied(consumer, producer)
        assert instances(real.studies()[study]) == {first[1].stem, second.stem}

        real.delete("series", f"{study}.2")
        real.applied(consumer, producer)
        assert instances(real.studies()[study]) == {first[1].stem}

        real.delete("studies", study)
        real.applied(consumer, producer)
        assert set(real.studies()) == {other}
        assert len(real.patients()) == 1


def test_replay_rebuilds_an_emptied_server_and_writes_nothing_over_a_filled_one(real: RealLine) -> None:
    """By our command over the filled server, by Kafka's own tool over the emptied one."""
    studies = [generate_uid() for _ in range(3)]
    with real.line.producer() as producer, real.line.consumer() as consumer:
        real.store(
            [real.dicom_file("CT_small.dcm", study=study, InstanceNumber=n) for study in studies for n in (1, 2)]
        )
        real.applied(consumer, producer)
        assert consumer.stop() == 0
    filled = versions(real)
    resources = {uid: _content(study) for uid, study in real.studies().items()}

    real_replay(real)
    with real.line.consumer() as consumer:
        eventually(real.line.caught_up, lambda: consumer.text, consumer)
        assert consumer.stop() == 0
    assert versions(real) == filled

    for study in real.studies().values():
        httpx.delete(f"{real.hapi}/ImagingStudy/{study['id']}").raise_for_status()
    for patient in real.patients():
        httpx.delete(f"{real.hapi}/Patient/{patient['id']}").raise_for_status()
    to_earliest = ("--reset-offsets", "--topic", real.line.topic, "--to-earliest", "--execute")
    kafka_consumer_groups(real.line.bootstrap, real.line.group, *to_earliest)
    with real.line.consumer() as consumer:
        eventually(real.line.caught_up, lambda: consumer.text, consumer)
    assert {uid: _content(study) for uid, study in real.studies().items()} == resources


def real_replay(real: RealLine) -> None:
    """`dicomcast-consumer replay apply --to earliest`."""
    with real.line.started("dicomcast_consumer", "replay", "apply", "--to", "earliest", "--yes") as replay:
        assert replay.process.wait(90) == 0, replay.text


def _content(study: dict[str, object]) -> dict[str, object]:
    """What must be equal after a rebuild: all but ids, references and meta."""
    return {name: value for name, value in study.items() if name not in ("id", "meta", "subject", "endpoint")}


def test_kill_9_of_the_producer_loses_and_doubles_no_event(real: RealLine) -> None:
    """G1: killed again and again while it publishes, each change is on the topic once for a read_committed reader."""
    study = generate_uid()
    files = [real.dicom_file("CT_small.dcm", study=study, InstanceNumber=n) for n in range(1, 41)]
    begin = real.sequence()
    real.store(files[:20])
    for _ in range(3):
        with real.line.producer() as producer:
            eventually(lambda: sum(real.line.end_offsets().values()) > 0, lambda: producer.text, producer)
            producer.kill()
    real.store(files[20:])
    with real.line.producer() as producer, real.line.consumer() as consumer:
        real.applied(consumer, producer)
    sequences = [decode(value).sequence for _, value in real.line.records()]
    assert sorted(sequences) == list(range(begin + 1, real.sequence() + 1))
    assert instances(real.studies()[study]) == {path.stem for path in files}
