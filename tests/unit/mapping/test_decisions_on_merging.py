"""The finer clauses of the decisions that test_decisions.py has the gist of, one test a clause: merging."""

from dataclasses import replace
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import (
    MappingOptions,
    Outcome,
    Resource,
    SourceProfile,
    endpoint_resource,
    in_partition,
)
from dicomcast_consumer.plan import FhirState, StudyWork, plan_studies
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import (
    OPTIONS,
    PROFILE,
    STUDY,
    URL,
    Scene,
    change,
    code,
    event,
    stored,
    their_patient,
    their_study,
)

OTHER = "1.2.3.1.2"
NOON = {"StudyTime": "1200", "SeriesTime": "1200"}
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
NOTHING = FhirState(studies={}, patients={}, by_reference={}, endpoints={})


def test_decision_11_on_patients_with_our_tag_dicom_wins() -> None:
    scene = stored(PatientSex="M", PatientName="Doe", PatientBirthDate="19700101")
    scene.send(event(2, instance=OTHER, PatientSex="F", PatientName="Roe", PatientBirthDate="19800202"))
    patient = scene.patient
    assert (patient["gender"], patient["birthDate"], patient["name"][0]["family"]) == ("female", "1980-02-02", "Roe")


def test_decision_11_dicom_wins_everywhere_where_that_is_set() -> None:
    theirs = their_patient(gender="male", name=[{"use": "usual", "family": "Roe"}])
    scene = stored({"patient": {"update": "dicom-wins"}}, PROFILE, theirs, PatientSex="F", PatientName="Doe")
    assert (scene.patient["gender"], scene.patient["name"]) == ("female", [{"use": "usual", "family": "Doe"}])


def test_decision_11_two_people_with_one_number_can_be_a_dead_letter() -> None:
    scene = Scene(
        their_patient(name=[{"family": "Roe"}], birthDate="1950-01-01"),
        options=MappingOptions.model_validate({"patient": {"mismatch": "reject"}}),
    )
    with pytest.raises(RejectedError, match=r"map\.patient_mismatch"):
        scene.send(event(1, PatientName="Doe", PatientBirthDate="19700101"))
    assert scene.writes == 0


@pytest.mark.parametrize("said", [{"PatientName": "Doe"}, {"PatientBirthDate": "19700101"}])
def test_decision_11_one_difference_alone_is_no_mismatch(said: dict[str, str]) -> None:
    theirs = their_patient(name=[{"family": "Roe"}], birthDate="1950-01-01")
    scene = stored(None, PROFILE, theirs, **{"PatientName": "Roe", "PatientBirthDate": "19500101", **said})
    assert scene.report == []


def test_decision_12_a_note_without_its_id_is_known_by_text_author_and_time() -> None:
    """Some servers drop element ids."""
    scene = stored(StudyDescription="Thorax")
    del scene.imaging_study["note"][0]["id"]
    signed = {"authorString": "Dr. Poe", "text": "Thorax"}
    scene.imaging_study["note"].insert(0, signed)
    scene.send(event(2, instance=OTHER, StudyDescription="Chest"))
    assert scene.imaging_study["note"] == [signed, {"id": "dicom-00081030", "text": "Chest"}]


def test_decision_12_a_description_that_somebody_changed_stays() -> None:
    scene = stored(StudyDescription="Thorax")
    scene.send(event(2, instance=OTHER, StudyDescription="Chest"))
    assert scene.imaging_study["description"] == "Chest"
    scene.imaging_study["description"] = "Chest, in two planes"
    scene.send(event(3, instance="1.2.3.1.3", StudyDescription="Lung"))
    assert scene.imaging_study["description"] == "Chest, in two planes"
    assert scene.imaging_study["note"] == [{"id": "dicom-00081030", "text": "Lung"}]


ISSUER = {"UniversalEntityID": "1.2.9", "UniversalEntityIDType": "ISO"}
LISTS: dict[str, tuple[Resource, dict[str, Any]]] = {
    "identifier": ({"system": "urn:x:ris", "value": "R"}, {"AccessionNumber": "A1"}),
    "basedOn": (
        {"reference": "ServiceRequest/1"},
        {"AccessionNumber": "A1", "IssuerOfAccessionNumberSequence": ISSUER},
    ),
    "endpoint": ({"reference": "Endpoint/99"}, {}),
    "procedureCode": ({"text": "theirs"}, {"ProcedureCodeSequence": code("24627-2", "LN", "CT chest")}),
    "reasonCode": ({"text": "theirs"}, {"ReasonForTheRequestedProcedure": "cough"}),
}


@pytest.mark.parametrize("element", LISTS)
def test_decision_12_in_lists_we_add_and_others_stay_first(element: str) -> None:
    theirs, said = LISTS[element]
    first = [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}] if element == "identifier" else []
    scene = Scene(their_patient(), their_study(**{element: [*first, theirs]}))
    scene.send(event(1, instance=OTHER, **said))
    found = scene.imaging_study[element]
    assert found[: len(first) + 1] == [*first, theirs]
    assert len(found) == len(first) + 2
    writes = scene.writes
    scene.send(event(1, instance=OTHER, **said))
    assert scene.writes == writes


def test_decision_12_in_series_and_instances_other_fields_survive() -> None:
    scene = stored(SeriesDescription="Lung", InstanceNumber=1)
    performer = [{"actor": {"display": "T. Tech"}}]
    scene.series().update(performer=performer, description="somebody's")
    scene.series()["instance"][0].update(title="somebody's", number=7)
    scene.send(event(2, action=Action.UPDATE, SeriesDescription="Lung, thin", InstanceNumber=2))
    assert (scene.series()["performer"], scene.series()["description"]) == (performer, "Lung, thin")
    (instance,) = scene.series()["instance"]
    assert (instance["title"], instance["number"]) == ("somebody's", 2)


def test_decision_12_status_goes_between_available_and_registered_on_our_studies_alone() -> None:
    gone = {"action": Action.DELETE, "state": State.DELETED}
    ours = stored()
    merge = ours.send(event(2, **gone))
    assert merge.outcome is Outcome.EMPTY
    assert merge.resource is not None
    assert merge.resource["status"] == "registered"
    ours.put(merge.resource)
    ours.send(event(3))
    assert ours.imaging_study["status"] == "available"
    theirs = Scene(their_patient(), their_study())
    theirs.send(event(1, instance="1.2.3.1.9", **gone))
    assert (theirs.imaging_study["status"], "series" in theirs.imaging_study) == ("available", False)


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "unknown"])
def test_decision_12_a_status_that_somebody_set_stays(status: str) -> None:
    scene = stored()
    scene.imaging_study["status"] = status
    scene.send(event(2, instance=OTHER), event(3, action=Action.UPDATE))
    assert scene.imaging_study["status"] == status


def test_decision_13_a_second_store_moves_the_study_and_reports_it() -> None:
    scene = stored()
    scene.send(event(2, PatientID="P2"))
    assert scene.imaging_study["subject"] == {"reference": "Patient/2"}
    assert scene.report == ["patient_changed"]
    assert scene.patients["1"]["identifier"] == [{"value": "P1"}]


def test_decision_13_somebody_elses_study_is_not_moved() -> None:
    scene = Scene(their_patient(), their_study())
    scene.send(event(1, instance="1.2.3.1.9", action=Action.UPDATE, PatientID="P2"))
    assert scene.imaging_study["subject"] == {"reference": "Patient/p"}
    assert scene.report == ["patient_differs"]


def test_decision_13_a_new_instance_of_another_patient_can_be_taken_and_reported() -> None:
    scene = stored({"patient_conflict": "report"}, PatientSex="M")
    scene.send(event(2, instance=OTHER, PatientID="P3", PatientSex="F"))
    assert (scene.report, scene.rejected) == (["patient_conflict"], [])
    assert scene.imaging_study["numberOfInstances"] == 2
    assert (scene.imaging_study["subject"], scene.patient["gender"]) == ({"reference": "Patient/1"}, "male")


def test_decision_14_a_second_store_replaces_our_accession() -> None:
    scene = stored(AccessionNumber="A")
    scene.send(event(2, AccessionNumber="B"))
    assert scene.imaging_study["identifier"][1:] == [{"type": ACSN, "value": "B"}]
    scene.send(event(3, AccessionNumber=None))
    assert scene.imaging_study["identifier"][1:] == [{"type": ACSN, "value": "B"}]


def test_decision_14_an_order_only_with_the_issuers_system() -> None:
    source = SourceProfile(feed="pacs", dicomweb_url=URL, accession_system="https://ris.example")
    ours = {"type": ACSN, "system": "https://ris.example", "value": "A"}
    based_on = stored(None, source, AccessionNumber="A").imaging_study["basedOn"]
    assert based_on == [{"type": "ServiceRequest", "identifier": ours}]
    local = {"LocalNamespaceEntityID": "RIS"}
    unknown = stored(None, source, AccessionNumber="A", IssuerOfAccessionNumberSequence=local).imaging_study
    assert "basedOn" not in unknown
    known = {"accession": {"issuers": {"RIS": "https://ris.example"}}}
    study = stored(known, AccessionNumber="A", IssuerOfAccessionNumberSequence=local).imaging_study
    assert study["basedOn"] == based_on


def test_decision_15_one_target_serves_one_data_partition() -> None:
    def served(name: str | None, partition: str | None = None) -> bool:
        profile = SourceProfile(feed="pacs", dicomweb_url=URL, partition=partition)
        return in_partition(replace(event(), partition_name=name), profile)

    assert served(None)
    assert served("Microsoft.Default")
    assert not served("ward")
    assert served("ward", "ward")
    assert not served(None, "ward")


def test_decision_19_one_patient_and_one_endpoint_entry_per_bundle() -> None:
    works = [
        StudyWork(study_instance_uid=study, profile=PROFILE, changes=(change(1, study=study, instance=f"{study}.1"),))
        for study in ("1.7", "1.8")
    ]
    plan = plan_studies(works, NOTHING, options=OPTIONS)
    kinds = [entry.resource["resourceType"] for entry in plan.entries]
    assert kinds == ["Endpoint", "Patient", "ImagingStudy", "ImagingStudy"]
    assert all("id" not in entry.resource for entry in plan.entries), "decision 20: ids are the server's"


def test_decision_19_addresses_are_compared_with_and_without_slash() -> None:
    plain = endpoint_resource(URL)
    assert plain["address"] == URL
    with_slash = {**plain, "address": f"{URL}/", "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"{URL}/"}]}
    state = FhirState(studies={}, patients={}, by_reference={}, endpoints={URL: {**with_slash, "id": "e"}})
    work = StudyWork(study_instance_uid=STUDY, profile=PROFILE, changes=(change(),))
    plan = plan_studies([work], state, options=OPTIONS)
    assert [entry.resource["resourceType"] for entry in plan.entries] == ["Patient", "ImagingStudy"]
    assert plan.entries[-1].resource["endpoint"] == [{"reference": "Endpoint/e"}]


def test_decision_21_a_source_has_its_own_systems_and_zone() -> None:
    ward = SourceProfile(
        feed="ward",
        dicomweb_url="https://ward.example/dicom-web",
        timezone="Asia/Kolkata",
        patient_system="urn:x:ward",
        accession_system="urn:x:ward-ris",
    )
    options = {"patient": {"system": "urn:x:all"}}
    scene = stored(options, ward, StudyDate="20210701", AccessionNumber="A", **NOON)
    assert scene.patient["identifier"] == [{"system": "urn:x:ward", "value": "P1"}]
    assert scene.imaging_study["identifier"][1]["system"] == "urn:x:ward-ris"
    assert scene.imaging_study["started"] == "2021-07-01T12:00:00+05:30"
    assert scene.imaging_study["meta"]["source"] == "https://ward.example/dicom-web"


def test_decision_21_filters_by_sop_class_and_their_combination() -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    options = MappingOptions.model_validate({"include": {"sop_classes": [ct], "modalities": ["CT", "PT"]}})
    assert change(options=options).skip_reason is None
    assert change(options=options, Modality="MR").skip_reason == "excluded"
    assert change(options=options, SOPClassUID="1.2.840.10008.5.1.4.1.1.4").skip_reason == "excluded"
    options = MappingOptions.model_validate({"exclude": {"sop_classes": [ct]}})
    assert change(options=options).skip_reason == "excluded"
