"""The decisions that the mapping stands on, each with a test of its name. The rest of the tests go into the corners."""

import json
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import (
    BASE_URI,
    TAG_CODE,
    TAG_SYSTEM,
    MappingOptions,
    Outcome,
    Resource,
    SourceProfile,
    endpoint_resource,
    endpoint_token,
    matches,
    validate_new,
)
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import DCM, SCT, STUDY, URL, Scene, change, code, event

OTHER = "1.2.3.1.2"
ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


def _one(options: dict[str, Any] | None = None, profile: SourceProfile | None = None, **attributes: Any) -> Scene:
    profile = profile or SourceProfile(feed="pacs", dicomweb_url=URL)
    scene = Scene(options=MappingOptions.model_validate(options or {}), profile=profile)
    scene.send(event(1, **attributes))
    return scene


def _study(scene: Scene) -> Resource:
    assert scene.study is not None
    return scene.study


def test_decision_1_modality_is_the_union_of_the_series_sorted() -> None:
    scene = Scene()
    scene.send(
        event(1, series="1.2.3.2", instance="1.2.3.2.1", Modality="SR", ModalitiesInStudy=["US"]),
        event(2, Modality="CT"),
        event(3, series="1.2.3.3", instance="1.2.3.3.1", Modality="CT"),
    )
    assert _study(scene)["modality"] == [{"system": DCM, "code": "CT"}, {"system": DCM, "code": "SR"}]


def test_decision_1_modality_can_be_limited_to_acquisition() -> None:
    scene = Scene(options=MappingOptions.model_validate({"modality": {"acquisition_only": True}}))
    scene.send(event(1, series="1.2.3.2", instance="1.2.3.2.1", Modality="SR"), event(2, Modality="CT"))
    assert _study(scene)["modality"] == [{"system": DCM, "code": "CT"}]


def test_decision_2_an_offset_is_never_invented() -> None:
    when = {"StudyDate": "20210701", "StudyTime": "1200"}
    berlin = SourceProfile(feed="pacs", dicomweb_url=URL, timezone="Europe/Berlin")
    assert _study(_one(**when))["started"] == "2021-07-01"
    assert _study(_one(profile=berlin, **when))["started"] == "2021-07-01T12:00:00+02:00"
    assert _study(_one({"unknown_tz": "assume-utc"}, **when))["started"] == "2021-07-01T12:00:00+00:00"


def test_decision_3_no_system_is_no_key() -> None:
    assert _one().patient["identifier"] == [{"value": "P1"}]
    assert _one({"patient": {"system": "urn:x:mrn"}}).patient["identifier"] == [{"system": "urn:x:mrn", "value": "P1"}]


def test_decision_4_no_patient_id_is_a_dead_letter() -> None:
    with pytest.raises(RejectedError, match=r"map\.patient_id_missing"):
        _one(PatientID="")


def test_decision_4_or_a_placeholder() -> None:
    scene = _one({"missing_patient_id": "placeholder"}, PatientID="", PatientName="Doe")
    assert scene.patient["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}]
    assert scene.patient["name"][0]["family"] == "Doe"


def test_decision_5_the_description_goes_to_note_and_description() -> None:
    study = _study(_one(StudyDescription="Thorax"))
    assert study["note"] == [{"id": "dicom-00081030", "text": "Thorax"}]
    assert study["description"] == "Thorax"


def test_decision_6_the_endpoint() -> None:
    assert endpoint_resource(URL) == {
        "resourceType": "Endpoint",
        "meta": {"tag": [{"system": TAG_SYSTEM, "code": TAG_CODE}]},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": URL}],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": f"DICOM WADO-RS endpoint {URL}",
        "payloadType": [
            {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "any"}],
                "text": "DICOM WADO-RS",
            }
        ],
        "payloadMimeType": ["application/dicom"],
        "address": URL,
    }
    assert SourceProfile(feed="pacs", dicomweb_url=f"{URL}//").dicomweb_url == URL


ISSUER = {"UniversalEntityID": "1.2.9", "UniversalEntityIDType": "ISO"}
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


def test_decision_7_an_accession_number_is_an_identifier_and_with_an_issuer_an_order() -> None:
    study = _study(_one(AccessionNumber="A1"))
    assert study["identifier"][1:] == [{"type": ACSN, "value": "A1"}]
    assert "basedOn" not in study
    study = _study(_one(AccessionNumber="A1", IssuerOfAccessionNumberSequence=ISSUER))
    identifier = {"type": ACSN, "system": "urn:oid:1.2.9", "value": "A1"}
    assert study["identifier"][1:] == [identifier]
    assert study["basedOn"] == [{"type": "ServiceRequest", "identifier": identifier}]


def test_decision_8_new_resources_are_validated() -> None:
    with pytest.raises(RejectedError, match=r"map\.invalid_resource.*subject"):
        validate_new({"resourceType": "ImagingStudy", "status": "available"})


def test_decision_8_elements_come_in_a_fixed_order() -> None:
    scene = _one(StudyDescription="Thorax", StudyDate="2020", AccessionNumber="A1", PatientSex="F", PatientName="Doe")
    names = [
        "identifier",
        "status",
        "modality",
        "subject",
        "started",
        "endpoint",
        "numberOfSeries",
        "numberOfInstances",
    ]
    assert list(_study(scene)) == ["resourceType", "meta", *names, "note", "description", "series", "id"]
    assert list(scene.patient) == ["resourceType", "meta", "identifier", "name", "gender", "id"]


def test_decision_9_a_value_is_that_of_the_newest_event_that_carries_one() -> None:
    scene = Scene()
    scene.send(event(5, StudyDescription="five", SeriesNumber=5, PatientName="Five"))
    scene.send(
        event(3, instance=OTHER, StudyDescription="three", SeriesNumber=3, PatientName="Three", StudyDate="2020")
    )
    scene.send(event(6, instance="1.2.3.1.3"))
    assert (_study(scene)["description"], scene.series()["number"]) == ("five", 5)
    assert scene.patient["name"][0]["family"] == "Five"
    assert _study(scene)["started"] == "2020"
    scene.send(event(7, instance="1.2.3.1.4", StudyDescription="seven", StudyDate="20200505"))
    scene.send(event(8, instance="1.2.3.1.5", StudyDate="2020"))
    assert (_study(scene)["description"], _study(scene)["started"]) == ("seven", "2020-05-05")


def test_decision_9_deleting_an_instance_keeps_what_it_said() -> None:
    scene = Scene()
    scene.send(event(1), event(2, instance=OTHER, StudyDescription="two", SeriesDescription="two"))
    scene.send(event(3, action=Action.DELETE, state=State.DELETED, instance=OTHER))
    assert (_study(scene)["description"], scene.series()["description"]) == ("two", "two")
    assert _study(scene)["numberOfInstances"] == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" ct ", {"system": DCM, "code": "CT"}),
        ("CF", {"system": DCM, "code": "CF"}),
        ("XX", {"display": "XX"}),
        (
            "",
            {
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
                ]
            },
        ),
    ],
)
def test_decision_10_modality(value: str, expected: Resource) -> None:
    scene = _one(Modality=value)
    assert scene.series()["modality"] == expected
    assert ("modality" in _study(scene)) is ("code" in expected)
    assert bool(change(Modality=value).omissions) is ("code" not in expected)


def test_decision_11_other_peoples_patients() -> None:
    theirs = {"resourceType": "Patient", "id": "p", "identifier": [{"value": "P1"}], "gender": "male"}
    scene = Scene(theirs)
    scene.send(event(1, PatientSex="F", PatientBirthDate="1970"))
    assert (scene.patient["gender"], scene.patient["birthDate"]) == ("male", "1970")
    scene = Scene({**theirs, "name": [{"family": "Roe"}], "birthDate": "1950-01-01"})
    scene.send(event(1, PatientName="Doe", PatientBirthDate="19700101", PatientSex="F"))
    assert scene.report == ["patient_mismatch"]
    assert scene.patient["gender"] == "male"


def test_decision_12_what_is_ours() -> None:
    scene = _one(StudyDescription="Thorax")
    tag = {"system": TAG_SYSTEM, "code": TAG_CODE}
    assert TAG_SYSTEM.startswith(BASE_URI)
    assert _study(scene)["meta"]["tag"] == [tag]
    assert scene.patient["meta"]["tag"] == [tag]
    _study(scene).update(status="entered-in-error", referrer={"display": "Dr. Poe"})
    _study(scene)["note"].append({"text": "a human's"})
    _study(scene)["identifier"].append({"value": "a human's"})
    scene.send(event(2, instance=OTHER, StudyDescription="Chest", ReferringPhysicianName="Roe"))
    study = _study(scene)
    assert (study["status"], study["referrer"]) == ("entered-in-error", {"display": "Dr. Poe"})
    assert study["note"] == [{"id": "dicom-00081030", "text": "Chest"}, {"text": "a human's"}]
    assert study["identifier"][-1] == {"value": "a human's"}


def test_decision_13_change_of_patient() -> None:
    scene = _one()
    scene.send(event(2, action=Action.UPDATE, PatientID="P2"))
    assert _study(scene)["subject"] == {"reference": "Patient/2"}
    assert (scene.report, len(scene.patients)) == (["patient_changed"], 2)
    scene.send(event(3, instance=OTHER, PatientID="P3"))
    assert scene.rejected == ["map.patient_conflict"]


def _accessions(scene: Scene) -> list[str]:
    return [identifier["value"] for identifier in _study(scene)["identifier"][1:]]


def test_decision_14_a_create_adds_an_accession_an_update_replaces_ours() -> None:
    scene = _one(AccessionNumber="B")
    scene.send(event(2, instance=OTHER, AccessionNumber="A"))
    assert _accessions(scene) == ["A", "B"]
    _study(scene)["identifier"].insert(1, {"type": ACSN, "system": "https://ris.example", "value": "R"})
    scene.send(event(3, action=Action.UPDATE, AccessionNumber="C"))
    assert _accessions(scene) == ["R", "C"]
    scene.send(event(1, AccessionNumber="B"))
    assert _accessions(scene) == ["R", "C"]
    scene.send(event(4, action=Action.UPDATE))
    assert _accessions(scene) == ["R", "C"]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_decision_15_uids_come_from_the_event(keyword: str) -> None:
    assert change(**{keyword: None}).study_instance_uid == STUDY
    with pytest.raises(RejectedError, match=r"map\.uid_mismatch"):
        change(**{keyword: "1.2.999"})


def test_decision_16_snomed() -> None:
    site = {"AnatomicRegionSequence": code("T-D3000", "SRT", "Chest")}
    assert _one(**site).series()["bodySite"] == {"system": SCT, "code": "816094009", "display": "Chest"}
    assert _one(BodyPartExamined="CHEST").series()["bodySite"]["code"] == "816094009"
    assert _one(BodyPartExamined="LEFT TOE").series()["bodySite"] == {"display": "LEFT TOE"}
    scene = _one(ImageLaterality="R")
    scene.send(event(2, instance=OTHER, ImageLaterality="L"))
    assert scene.series()["laterality"]["code"] == "51440002"


def test_decision_17_no_code_system() -> None:
    local = {"ProcedureCodeSequence": code("X1", "99HOSP", "Thorax")}
    assert _study(_one(**local))["procedureCode"] == [{"text": "Thorax"}]
    known = _study(_one({"codingscheme": {"99HOSP": "https://hosp.example"}}, **local))["procedureCode"]
    assert known == [
        {"coding": [{"system": "https://hosp.example", "code": "X1", "display": "Thorax"}], "text": "Thorax"}
    ]
    assert _study(_one(ReferringPhysicianName="Ref^Doc"))["referrer"]["display"] == "Doc Ref"


def test_decision_18_time() -> None:
    berlin = SourceProfile(feed="pacs", dicomweb_url=URL, timezone="Europe/Berlin")
    utc = _one(StudyDate="2021.07.01", StudyTime="12:00:00", TimezoneOffsetFromUTC="+0000")
    assert _study(utc)["started"] == "2021-07-01T12:00:00+00:00"
    repeated = _one(profile=berlin, StudyDate="20211031", StudyTime="0230")
    assert _study(repeated)["started"] == "2021-10-31"
    assert _study(_one(StudyDate="202107", StudyTime="12"))["started"] == "2021-07"
    assert "started" not in _study(_one(StudyDate="20210231", StudyTime="1200"))


def test_decision_19_the_endpoint_is_found_by_its_identifier_or_the_originals_name() -> None:
    assert endpoint_token(URL) == f"urn:ietf:rfc:3986|{URL}"
    ours = endpoint_resource(URL)
    originals = {**ours, "name": f"DICOM WADO-RS endpoint {URL}/", "address": f"{URL}/"}
    del originals["identifier"]
    assert matches(ours, URL)
    assert matches({**ours, "name": "renamed"}, URL)
    assert matches(originals, URL)
    assert not matches({**originals, "name": "another"}, URL)
    assert not matches(endpoint_resource(f"{URL}2"), URL)
    assert matches({**ours, "address": "https://public.example/dicom-web"}, URL)  # a person's to change
    assert not matches({**originals, "address": f"{URL}2"}, URL)
    scene = _one()
    scene.send(event(2, instance=OTHER))
    assert _study(scene)["endpoint"] == [{"reference": "Endpoint/1"}]


def test_decision_19_there_are_no_empty_arrays() -> None:
    def empties(node: Any) -> bool:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return node in ({}, [], "", None) or any(empties(child) for child in inner)

    scene = _one(PatientName="^^", StudyDescription=" ", ProcedureCodeSequence=[], RequestAttributesSequence={})
    assert not empties(_study(scene))
    assert not empties(scene.patient)


def test_decision_20_off_by_default() -> None:
    text = json.dumps(
        _study(
            _one(
                StudyID="S-77",
                InstitutionName="Hosp-77",
                OperatorsName="Op-77",
                ImageType=["ORIGINAL", "PRIMARY-77"],
                AcquisitionDate="20770707",
                OtherPatientIDs=["X-77"],
            )
        )
    )
    assert "77" not in text


def _originals() -> Resource:
    """A study as DICOM Cast writes it."""
    return {
        "resourceType": "ImagingStudy",
        "id": "s",
        "meta": {"source": f"{URL}/#aRequestId"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        "status": "available",
        "subject": {"reference": "Patient/1"},
        "note": [{"text": "Thorax"}, {"text": "Thorax"}],
        "series": [
            {
                "uid": "1.2.3.1",
                "modality": {"system": "DCM", "code": "CT"},
                "instance": [{"uid": "1.2.3.1.1", "sopClass": {"code": "1.2.840.10008.5.1.4.1.1.2"}}],
            }
        ],
    }


def test_decision_21_studies_of_dicom_cast_are_adopted_and_repaired() -> None:
    scene = Scene({"resourceType": "Patient", "id": "1", "identifier": [{"value": "P1"}]}, _originals())
    assert scene.send(event(9, instance=OTHER, StudyDescription="Thorax")).outcome is Outcome.UPDATE
    study = _study(scene)
    assert study["meta"]["tag"] == [{"system": TAG_SYSTEM, "code": TAG_CODE}]
    assert study["meta"]["source"] == f"{URL}/#aRequestId"
    assert study["note"] == [{"id": "dicom-00081030", "text": "Thorax"}]
    assert study["series"][0]["modality"] == {"system": DCM, "code": "CT"}
    assert study["modality"] == [{"system": DCM, "code": "CT"}]
    sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
    assert [i["sopClass"] for i in study["series"][0]["instance"]] == [sop_class, sop_class]


def test_decision_21_an_instance_can_be_filtered_by_modality_sop_class_and_patient() -> None:
    options = MappingOptions.model_validate({"exclude": {"modalities": ["SR"]}, "include": {"patient_id": "P.*"}})
    assert change(options=options, Modality="SR").skip_reason == "excluded"
    assert change(options=options, PatientID="TEST").skip_reason == "excluded"
    assert change(options=options).skip_reason is None
