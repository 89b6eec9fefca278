"""Whose study it is (decision 13)."""

import pytest
from dicomcast_consumer.mapping import MappingOptions, Outcome, Resource
from dicomcast_schemas import Action, State
from msgspec.structs import replace

from tests.unit.mapping.scene import STUDY, Scene, change, event

OTHER = "1.2.3.1.2"
REPORT = MappingOptions(patient_conflict="report")
PLACEHOLDER = MappingOptions(missing_patient_id="placeholder")


def _subject(scene: Scene) -> str:
    assert scene.study is not None
    reference = scene.study["subject"]["reference"]
    return str(scene.patients[reference.removeprefix("Patient/")]["identifier"][0]["value"])


def _uids(scene: Scene) -> list[str]:
    assert scene.study is not None
    return [instance["uid"] for series in scene.study["series"] for instance in series["instance"]]


def test_a_new_instance_of_another_patient_is_rejected_and_its_patient_not_made() -> None:
    scene = Scene()
    scene.send(event(1))
    merge = scene.send(event(2, instance=OTHER, PatientID="P2"), event(3, instance="1.2.3.1.3"))
    assert scene.rejected == ["map.patient_conflict"]
    assert merge.rejected[0][0].mark.sequence == 2
    assert _uids(scene) == ["1.2.3.1.1", "1.2.3.1.3"]
    assert len(scene.patients) == 1


def test_in_a_new_study_the_first_instance_says_whose_it_is() -> None:
    scene = Scene()
    scene.send(event(1), event(2, instance=OTHER, PatientID="P2"))
    assert (_subject(scene), scene.rejected) == ("P1", ["map.patient_conflict"])


def test_or_it_is_added_and_reported_without_its_patient() -> None:
    scene = Scene(options=REPORT)
    scene.send(event(1, PatientName="Doe"))
    scene.send(event(2, instance=OTHER, PatientID="P2", PatientName="Roe"))
    assert scene.report == ["patient_conflict"]
    assert len(_uids(scene)) == 2
    assert scene.patient["name"][0]["family"] == "Doe"


@pytest.mark.parametrize("action", [Action.UPDATE, Action.CREATE])
def test_an_update_or_a_re_store_moves_the_study(action: Action) -> None:
    scene = Scene()
    scene.send(event(1), event(2, instance=OTHER))
    scene.send(event(3, action=action, PatientID="P2"), event(4, action=action, instance=OTHER, PatientID="P2"))
    assert _subject(scene) == "P2"
    assert scene.report == ["patient_changed"]
    assert len(scene.patients) == 2


def test_events_from_before_the_move_do_not_move_it_back() -> None:
    scene = Scene()
    create, update = event(1), event(3, action=Action.UPDATE, PatientID="P2")
    scene.send(create)
    scene.send(update)
    writes = scene.writes
    scene.send(create)
    scene.send(update)
    assert (_subject(scene), scene.writes) == ("P2", writes)


def test_a_change_within_one_run_moves_it_too() -> None:
    scene = Scene()
    scene.send(event(1), event(2, instance=OTHER), event(3, action=Action.UPDATE, PatientID="P2"))
    assert _subject(scene) == "P2"
    assert len(_uids(scene)) == 2


def test_the_change_before_stands_in_for_a_rejected_one() -> None:
    scene = Scene()
    scene.send(event(1, instance=OTHER))
    scene.send(
        event(2, InstanceNumber=2),
        event(3, action=Action.DELETE, state=State.DELETED),
        event(4, InstanceNumber=4, PatientID="P2"),
    )
    assert scene.rejected == ["map.patient_conflict"]
    assert _uids(scene) == [OTHER]


def _foreign(**elements: object) -> Resource:
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    return {"resourceType": "ImagingStudy", "identifier": [identifier], "status": "available", **elements}


def test_somebody_elses_study_is_not_moved() -> None:
    patient = {"resourceType": "Patient", "id": "1", "identifier": [{"value": "P9"}]}
    scene = Scene(patient, _foreign(subject={"reference": "Patient/1"}))
    scene.send(event(1, action=Action.UPDATE))
    assert scene.report == ["patient_differs"]
    assert (_subject(scene), len(scene.patients)) == ("P9", 1)
    assert len(_uids(scene)) == 1


def test_a_subject_that_cannot_be_compared_stays_and_is_reported() -> None:
    scene = Scene(_foreign(subject={"display": "somebody"}))
    scene.send(event(1))
    assert scene.study is not None
    assert scene.study["subject"] == {"display": "somebody"}
    assert scene.report == ["patient_unknown"]
    assert scene.patients == {}


def test_a_logical_subject_is_compared_by_its_identifier() -> None:
    scene = Scene(_foreign(subject={"identifier": {"value": "P1"}}))
    scene.send(event(1))
    scene.send(event(2, instance=OTHER, PatientID="P2"))
    assert scene.report == ["patient_unknown"]
    assert scene.rejected == []


def test_a_device_as_subject_is_left_alone() -> None:
    scene = Scene()
    scene.send(event(1))
    assert scene.study is not None
    scene.study["subject"] = {"reference": "Device/5"}
    scene.send(event(2, instance=OTHER))
    assert scene.study["subject"] == {"reference": "Device/5"}


def test_a_subject_that_is_gone_is_replaced_in_our_study() -> None:
    scene = Scene()
    scene.send(event(1))
    scene.patients.clear()
    scene.send(event(2, instance=OTHER))
    assert (_subject(scene), scene.report) == ("P1", [])


def test_a_patient_whose_number_was_changed_by_hand_is_another_one() -> None:
    scene = Scene()
    scene.send(event(1))
    scene.patient["identifier"] = [{"value": "corrected"}]
    scene.send(event(2, instance=OTHER))
    assert scene.rejected == ["map.patient_conflict"]


def test_a_placeholder_gives_way_to_a_patient_and_not_the_other_way_round() -> None:
    scene = Scene(options=PLACEHOLDER)
    scene.send(event(1, PatientID=None))
    assert _subject(scene) == "urn:oid:1.2.3"
    scene.send(event(2, instance=OTHER))
    assert _subject(scene) == "P1"
    assert scene.send(event(3, instance="1.2.3.1.3", PatientID=None)).outcome is Outcome.UPDATE
    assert (_subject(scene), scene.rejected, len(_uids(scene))) == ("P1", [], 3)


def test_what_cannot_be_made_valid_is_rejected_alone_and_the_change_before_stands_in() -> None:
    good, bad = change(1, InstanceNumber=1), change(2, InstanceNumber=2)
    assert bad.instance is not None
    bad = replace(bad, instance=replace(bad.instance, number=-1))  # a fault of the mapping, not of any data set
    scene = Scene()
    scene.apply([good, bad, change(3, instance=OTHER)])
    assert scene.rejected == ["map.invalid_resource"]
    assert _uids(scene) == ["1.2.3.1.1", OTHER]
    assert scene.series()["instance"][0]["number"] == 1
    assert Scene().apply([bad]).outcome is Outcome.NOTHING


def test_one_number_of_two_systems_is_two_patients() -> None:
    scene = Scene()
    scene.send(event(1))
    scene.patient["identifier"] = [{"system": "https://elsewhere.example/mrn", "value": "P1"}]
    scene.send(event(2, instance=OTHER))
    assert scene.rejected == ["map.patient_conflict"]


def test_a_replay_of_a_reported_conflict_does_not_move_the_study() -> None:
    scene = Scene(options=MappingOptions(patient_conflict="report"))
    events = [event(1, PatientID="P1"), *(event(n, instance=f"1.2.3.1.{n}", PatientID=f"P{n}") for n in (2, 3))]
    scene.send_each(*events)
    before = scene.content()
    scene.send_each(*events)
    scene.send(*events)
    assert scene.content() == before
    scene.send(event(4, action=Action.UPDATE, instance="1.2.3.1.2", PatientID="P1"))
    scene.send(event(5, action=Action.UPDATE, instance="1.2.3.1.2", PatientID="P2"))
    assert scene.report[-1] == "patient_changed"
