"""ImagingStudy: create, merge, remove; what others wrote stays."""

import json
from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions, Outcome, Resource
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import DCM, INSTANCE, STUDY, URL, Scene, code, event

OTHER = "1.2.3.1.2"


def _study(scene: Scene) -> Resource:
    assert scene.study is not None
    return scene.study


def _foreign(**elements: Any) -> Resource:
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    return {"resourceType": "ImagingStudy", "id": "s", "identifier": [identifier], "status": "available", **elements}


def test_a_new_study() -> None:
    scene = Scene()
    merge = scene.send(
        event(1, StudyDescription="Thorax", SeriesNumber=2, InstanceNumber="1", SeriesDescription="axial")
    )
    assert merge.outcome is Outcome.CREATE
    study = dict(_study(scene))
    assert study["meta"]["source"] == URL
    del study["meta"], study["id"]
    assert json.dumps(study) == json.dumps(_NEW)


_NEW = {
    "resourceType": "ImagingStudy",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "status": "available",
    "modality": [{"system": DCM, "code": "CT"}],
    "subject": {"reference": "Patient/1"},
    "endpoint": [{"reference": "Endpoint/1"}],
    "numberOfSeries": 1,
    "numberOfInstances": 1,
    "note": [{"id": "dicom-00081030", "text": "Thorax"}],
    "description": "Thorax",
    "series": [
        {
            "uid": "1.2.3.1",
            "number": 2,
            "modality": {"system": DCM, "code": "CT"},
            "description": "axial",
            "numberOfInstances": 1,
            "instance": [
                {
                    "uid": "1.2.3.1.1",
                    "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
                    "number": 1,
                }
            ],
        }
    ],
}


def test_the_same_again_writes_nothing() -> None:
    scene = Scene()
    first = event(1, StudyDescription="Thorax", AccessionNumber="A1", ProcedureCodeSequence=code("1", "SCT", "x"))
    scene.send(first)
    assert scene.send(first).outcome is Outcome.UNCHANGED
    assert scene.send(first, first).outcome is Outcome.UNCHANGED


def test_storing_the_same_again_writes_nothing() -> None:
    scene = Scene()
    rest: dict[str, Any] = {"StudyDescription": "Thorax", "PatientSex": "F", "AccessionNumber": "A1"}
    scene.send(event(1, **rest))
    writes = scene.writes
    assert scene.send(event(7, **rest)).outcome is Outcome.UNCHANGED
    assert scene.writes == writes


def test_series_and_instances_are_sorted_by_number_and_uid() -> None:
    scene = Scene()
    scene.send(
        event(1, series="1.9", instance="1.9.2", SeriesNumber=2, InstanceNumber=10),
        event(2, series="1.9", instance="1.9.1", SeriesNumber=2, InstanceNumber=9),
        event(3, series="1.9", instance="1.9.0", SeriesNumber=2),
        event(4, series="1.8", instance="1.8.1"),
        event(5, series="1.10", instance="1.10.1"),
        event(6, series="1.7", instance="1.7.1", SeriesNumber=2),
    )
    assert [series["uid"] for series in _study(scene)["series"]] == ["1.7", "1.9", "1.10", "1.8"]
    assert [i["uid"] for i in scene.series(1)["instance"]] == ["1.9.1", "1.9.2", "1.9.0"]


def test_an_instance_is_never_listed_twice() -> None:
    scene = Scene()
    scene.send(event(1, InstanceNumber=1))
    scene.send(event(2, InstanceNumber=2))
    assert scene.series()["instance"][0]["number"] == 2
    assert _study(scene)["numberOfInstances"] == 1
    scene.send(event(3, series="1.2.3.9", InstanceNumber=2))
    assert [(s["uid"], len(s["instance"])) for s in _study(scene)["series"]] == [("1.2.3.9", 1)]


def test_instances_that_a_study_lists_twice_are_listed_once_after_a_write() -> None:
    scene = Scene()
    scene.send(event(1))
    scene.series()["instance"].append(dict(scene.series()["instance"][0]))
    scene.send(event(2, instance=OTHER))
    assert [i["uid"] for i in scene.series()["instance"]] == [INSTANCE, OTHER]


def test_deleting_an_instance_recounts_and_keeps_values() -> None:
    scene = Scene()
    scene.send(
        event(1, StudyDescription="Thorax"),
        event(2, series="1.2.3.2", instance="1.2.3.2.1", Modality="SR", StudyDescription="Dose"),
    )
    assert [m["code"] for m in _study(scene)["modality"]] == ["CT", "SR"]
    merge = scene.send(event(3, action=Action.DELETE, state=State.DELETED, series="1.2.3.2", instance="1.2.3.2.1"))
    assert merge.outcome is Outcome.UPDATE
    study = _study(scene)
    assert [m["code"] for m in study["modality"]] == ["CT"]
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (1, 1)
    assert study["description"] == "Dose"


def test_deleting_what_is_not_there_writes_nothing() -> None:
    scene = Scene()
    gone = event(1, action=Action.DELETE, state=State.DELETED)
    assert scene.send(gone).outcome is Outcome.NOTHING
    scene.send(event(2, instance=OTHER))
    assert scene.send(gone).outcome is Outcome.UNCHANGED


def test_the_last_instance_takes_the_study_with_it() -> None:
    scene = Scene()
    scene.send(event(1))
    merge = scene.send(event(2, action=Action.DELETE, state=State.DELETED))
    assert merge.outcome is Outcome.EMPTY
    assert merge.resource is not None
    assert "series" not in merge.resource
    assert "modality" not in merge.resource
    assert (merge.resource["status"], merge.resource["numberOfInstances"]) == ("registered", 0)


def test_a_study_left_empty_is_deleted_by_the_next_delete_and_revived_by_the_next_instance() -> None:
    scene = Scene()
    scene.send(event(1))
    emptied = scene.send(event(2, action=Action.DELETE, state=State.DELETED)).resource
    assert emptied is not None
    assert Scene(emptied).send(event(2, action=Action.DELETE, state=State.DELETED)).outcome is Outcome.EMPTY
    scene = Scene(emptied)
    assert scene.send(event(3)).outcome is Outcome.UPDATE
    assert (_study(scene)["status"], _study(scene)["numberOfInstances"]) == ("available", 1)


def test_created_and_deleted_in_one_run_is_nothing() -> None:
    gone = event(2, action=Action.DELETE, state=State.DELETED)
    assert Scene().send(event(1), gone).outcome is Outcome.NOTHING


def test_a_description_changes_our_note_and_leaves_others() -> None:
    scene = Scene()
    scene.send(event(1, StudyDescription="Thorax"))
    human = {"text": "seen by Dr. Poe", "time": "2024-01-01"}
    _study(scene)["note"].insert(0, human)
    scene.send(event(2, action=Action.UPDATE, StudyDescription="Chest"))
    assert _study(scene)["note"] == [human, {"id": "dicom-00081030", "text": "Chest"}]
    assert _study(scene)["description"] == "Chest"


def test_on_a_server_that_drops_element_ids_our_note_is_found_by_the_description() -> None:
    scene = Scene()
    scene.send(event(1, StudyDescription="Thorax"))
    _study(scene)["note"] = [{"text": "Thorax", "authorString": "Poe"}, {"text": "Thorax"}]
    scene.send(event(2, StudyDescription="Chest"))
    assert [note["text"] for note in _study(scene)["note"]] == ["Thorax", "Chest"]


def test_a_description_that_somebody_changed_stays() -> None:
    scene = Scene()
    scene.send(event(1, StudyDescription="Thorax"))
    _study(scene)["description"] = "CT of the thorax with contrast"
    scene.send(event(2, StudyDescription="Chest"))
    assert _study(scene)["description"] == "CT of the thorax with contrast"
    assert _study(scene)["note"][0]["text"] == "Chest"


def test_a_referrer_that_somebody_changed_stays_ours_is_replaced() -> None:
    scene = Scene()
    scene.send(event(1, ReferringPhysicianName="Ref^Doc^^Dr."))
    assert _study(scene)["referrer"] == {"type": "Practitioner", "display": "Dr. Doc Ref"}
    scene.send(event(2, ReferringPhysicianName="Poe^Ann"))
    assert _study(scene)["referrer"] == {"type": "Practitioner", "display": "Ann Poe"}
    _study(scene)["referrer"] = {"reference": "Practitioner/7"}
    scene.send(event(3, ReferringPhysicianName="Ref^Doc"))
    assert _study(scene)["referrer"] == {"reference": "Practitioner/7"}


def test_a_referrers_identifier_needs_a_system() -> None:
    scene = Scene(options=MappingOptions(codingscheme={"99DOC": "https://hospital.example/doctors"}))
    known = {"PersonIdentificationCodeSequence": code("17", "99DOC", "Doc")}
    scene.send(event(1, ReferringPhysicianName="Ref^Doc", ReferringPhysicianIdentificationSequence=known))
    expected = {"system": "https://hospital.example/doctors", "value": "17"}
    assert _study(scene)["referrer"]["identifier"] == expected


def test_lists_of_others_stay_first() -> None:
    scene = Scene()
    scene.send(event(1, ProcedureCodeSequence=code("2", "SCT", "two")))
    theirs = {"coding": [{"system": "https://ris.example", "code": "9"}]}
    _study(scene)["procedureCode"].insert(0, theirs)
    _study(scene)["endpoint"].insert(0, {"reference": "Endpoint/77"})
    _study(scene)["identifier"].append({"system": "https://ris.example", "value": "9"})
    scene.send(event(2, instance=OTHER, ProcedureCodeSequence=code("1", "SCT", "one")))
    codes = [concept["coding"][0]["code"] for concept in _study(scene)["procedureCode"]]
    assert codes == ["9", "1", "2"]
    assert [e["reference"] for e in _study(scene)["endpoint"]] == ["Endpoint/77", "Endpoint/1"]
    assert [i["value"] for i in _study(scene)["identifier"]] == [f"urn:oid:{STUDY}", "9"]


def test_an_update_replaces_our_codes_not_those_of_others() -> None:
    scene = Scene()
    scene.send(event(1, ProcedureCodeSequence=code("1", "SCT", "one")))
    theirs = {"coding": [{"system": "https://ris.example", "code": "9"}]}
    _study(scene)["procedureCode"].append(theirs)
    scene.send(event(2, action=Action.UPDATE, ProcedureCodeSequence=code("2", "SCT", "two")))
    assert [c["coding"][0]["code"] for c in _study(scene)["procedureCode"]] == ["9", "2"]


def test_what_others_added_to_series_and_instances_stays() -> None:
    scene = Scene()
    scene.send(event(1, InstanceNumber=1))
    scene.series()["performer"] = [{"actor": {"display": "Poe"}}]
    scene.series()["instance"][0]["extension"] = [{"url": "urn:x", "valueString": "y"}]
    scene.series()["modality"]["display"] = "Computed Tomography"
    before = scene.content()
    assert scene.send(event(1, InstanceNumber=1)).outcome is Outcome.UNCHANGED
    scene.send(event(2, SeriesDescription="axial", InstanceNumber=2))
    assert scene.series()["performer"] == [{"actor": {"display": "Poe"}}]
    assert "extension" in scene.series()["instance"][0]
    assert scene.series()["modality"]["display"] == "Computed Tomography"
    assert scene.content() != before


def test_somebody_elses_study_keeps_its_status_and_its_last_instance_does_not_delete_it() -> None:
    patient = {"resourceType": "Patient", "id": "1", "identifier": [{"value": "P1"}]}
    scene = Scene(patient, _foreign(status="cancelled", subject={"reference": "Patient/1"}))
    scene.send(event(1, StudyDate="20200101"))
    assert _study(scene)["status"] == "cancelled"
    assert _study(scene)["started"] == "2020-01-01"
    assert "tag" not in _study(scene)["meta"]
    merge = scene.send(event(2, action=Action.DELETE, state=State.DELETED))
    assert merge.outcome is Outcome.UPDATE
    assert _study(scene)["status"] == "cancelled"


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "unknown"])
def test_a_status_that_somebody_set_is_not_resurrected(status: str) -> None:
    scene = Scene()
    scene.send(event(1))
    _study(scene)["status"] = status
    scene.send(event(2, instance=OTHER))
    assert _study(scene)["status"] == status


def test_a_modality_known_later_takes_the_place_of_an_unknown_or_missing_one() -> None:
    scene = Scene()
    scene.send(event(1, Modality=None))
    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    assert scene.series()["modality"] == {"extension": [absent]}
    assert "modality" not in _study(scene)
    scene.send(event(2, Modality="ZZ"))
    assert scene.series()["modality"] == {"display": "ZZ"}
    assert "modality" not in _study(scene)
    scene.send(event(3, Modality="MR"))
    scene.send(event(4, Modality="ZZ"))
    assert scene.series()["modality"] == {"system": DCM, "code": "MR"}
    assert _study(scene)["modality"] == [{"system": DCM, "code": "MR"}]


def test_an_accession_number_is_known_by_its_type_not_by_a_number_alone() -> None:
    scene = Scene()
    scene.send(event(1))
    accession = {"coding": [{"code": "ACSN"}]}
    _study(scene)["identifier"].append({"system": "https://ris.example/visit", "value": "A1"})
    scene.send(event(2, AccessionNumber="A1"))
    assert [i["value"] for i in _study(scene)["identifier"]] == [f"urn:oid:{STUDY}", "A1", "A1"]
    _study(scene)["identifier"].append({"type": accession, "system": "https://ris.example/acsn", "value": "A2"})
    scene.send(event(3, instance=OTHER, AccessionNumber="A2"))
    assert [i["value"] for i in _study(scene)["identifier"]].count("A2") == 1
