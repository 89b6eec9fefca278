"""Whose study it is (decision 13)."""

from collections.abc import Iterator, Sequence

import pytest
from dicomcast_consumer.mapping import MappingOptions, Outcome, Resource
from dicomcast_consumer.mapping.places import Places
from dicomcast_schemas import Action, DicomChangeEvent, State
from msgspec.structs import replace

from tests.unit.mapping.scene import OPTIONS, STUDY, Scene, change, event, their_patient, their_study

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
    assert (_subject(scene), scene.report) == ("P1", ["patient_changed"])
    assert scene.send(event(3, instance="1.2.3.1.3", PatientID=None)).outcome is Outcome.UPDATE
    assert (_subject(scene), scene.rejected, len(_uids(scene))) == ("P1", [], 3)


A, B = {"PatientID": "P1", "AccessionNumber": "A1"}, {"PatientID": "P2", "AccessionNumber": "A2"}
GONE = {"action": Action.DELETE, "state": State.DELETED}


def _both_ways(options: MappingOptions, first: Sequence[DicomChangeEvent], *events: DicomChangeEvent) -> Scene:
    """The end of these events as one run, after the first ones; one by one it is the same."""
    run, each = Scene(options=options), Scene(options=options)
    for scene in (run, each):
        scene.send_each(*first)
    run.send(*events)
    each.send_each(*events)
    assert (run.content(), run.rejected) == (each.content(), each.rejected)
    return run


def _accessions(scene: Scene) -> list[str]:
    return [identifier["value"] for identifier in scene.imaging_study["identifier"][1:]]


@pytest.mark.parametrize("options", [OPTIONS, REPORT])
def test_a_study_that_runs_empty_on_the_way_is_whose_the_next_instance_is(options: MappingOptions) -> None:
    again = [event(5, **B), event(6, instance=OTHER, **B)]
    first = [event(1, **A), event(2, instance=OTHER, **A)]
    scene = _both_ways(options, first, event(3, **GONE), event(4, instance=OTHER, **GONE), *again)
    assert (_subject(scene), _accessions(scene), len(_uids(scene))) == ("P2", ["A2"], 2)
    assert (scene.rejected, scene.report) == ([], ["patient_changed"])


def test_it_has_nothing_of_what_was_but_id_and_version() -> None:
    scene = Scene()
    scene.send(event(1, StudyDescription="wrong", **A))
    scene.imaging_study["note"].append({"text": "a human's"})
    scene.imaging_study["meta"]["versionId"] = "3"
    merge = scene.send(event(2, **GONE), event(3, **A), event(4, **GONE), event(5, AccessionNumber="A2"))
    assert (merge.outcome, scene.imaging_study["id"]) == (Outcome.UPDATE, "s")
    assert scene.imaging_study["meta"]["versionId"] == "3"
    assert (_accessions(scene), scene.report) == (["A2"], [])
    assert not {"note", "description"} & scene.imaging_study.keys()
    writes = scene.writes
    scene.send(event(4, **GONE), event(5, AccessionNumber="A2"))
    assert scene.writes == writes


def test_a_study_that_is_left_empty_by_the_run_keeps_a_subject() -> None:
    scene = Scene()
    scene.send(event(1, **A))
    merge = scene.send(event(2, **GONE), event(3, **B), event(4, **GONE))
    assert merge.outcome is Outcome.EMPTY
    assert merge.resource is not None
    assert merge.resource["subject"] == {"reference": "Patient/2"}


def test_a_study_that_could_not_be_deleted_is_whose_the_next_instance_is() -> None:
    scene = Scene()
    scene.send(event(1, **A))
    emptied = scene.send(event(2, **GONE)).resource
    assert emptied is not None
    scene.put(emptied)
    scene.send(event(3, **B))
    assert (_subject(scene), _accessions(scene), scene.rejected) == ("P2", ["A2"], [])
    assert (scene.report, scene.imaging_study["status"]) == (["patient_changed"], "available")


def test_somebody_elses_study_that_runs_empty_keeps_its_subject() -> None:
    scene = Scene(their_patient(), their_study())
    scene.send(event(1, instance="1.2.3.1.9", **GONE), event(2, **B))
    assert (_subject(scene), scene.rejected) == ("P1", ["map.patient_conflict"])


def test_a_rejected_change_leaves_nothing_though_a_later_one_of_its_instance_belongs() -> None:
    update = event(4, instance=OTHER, action=Action.UPDATE, **A)
    scene = _both_ways(OPTIONS, [event(1, **A)], event(3, instance=OTHER, **B), update)
    assert (_accessions(scene), scene.rejected) == (["A1"], ["map.patient_conflict"])
    scene.send(event(3, instance=OTHER, **B), update)  # after a crash they come again; the instance is listed by now
    assert (_accessions(scene), scene.rejected, _subject(scene)) == (["A1"], ["map.patient_conflict"], "P1")


def test_an_instance_that_came_after_the_move_belongs_though_the_one_that_moved_it_changes_again() -> None:
    moved = [event(3, action=Action.UPDATE, **B), event(4, instance=OTHER, **B), event(5, action=Action.UPDATE, **B)]
    scene = _both_ways(OPTIONS, [event(1, **A)], *moved)
    assert (_subject(scene), len(_uids(scene)), scene.rejected) == ("P2", 2, [])


def test_an_update_from_before_the_move_does_not_bring_its_instance_in() -> None:
    scene = Scene()
    scene.send_each(event(1, **A), event(3, action=Action.UPDATE, **B))
    scene.send(event(2, instance=OTHER, action=Action.UPDATE, **A))
    assert (_uids(scene), scene.rejected) == (["1.2.3.1.1"], ["map.patient_conflict"])


def test_patients_whose_the_study_was_on_the_way_are_written() -> None:
    scene = _both_ways(
        OPTIONS,
        [event(1, PatientID="P1", PatientName="Old")],
        event(2, instance=OTHER, PatientID="P1", PatientName="New"),
        event(3, action=Action.UPDATE, PatientID="P2"),
        event(4, action=Action.UPDATE, PatientID="P3"),
    )
    assert [one["identifier"][0]["value"] for one in scene.patients.values()] == ["P1", "P2", "P3"]
    assert scene.patients["1"]["name"][0]["family"] == "New"


@pytest.mark.parametrize(
    "identifiers",
    [
        [{"value": "4711"}, {"use": "old", "system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        [{"system": "urn:dicom:uid", "value": "urn:oid:1.9.9"}],
    ],
)
def test_a_patient_is_no_placeholder_for_having_an_identifier_of_one(identifiers: list[Resource]) -> None:
    scene = Scene(options=PLACEHOLDER)
    scene.send(event(1, PatientID="4711"))
    scene.patient["identifier"] = identifiers
    scene.send(event(2, instance=OTHER, PatientID="9999"))
    assert (scene.rejected, len(scene.patients)) == (["map.patient_conflict"], 1)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://mpi.example/fhir/Patient/55"},
        {"identifier": {"system": "urn:x", "value": "55"}},
        {"display": "somebody"},
    ],
)
def test_a_subject_that_somebody_set_to_what_cannot_be_read_stays(subject: Resource) -> None:
    scene = Scene()
    scene.send(event(1))
    scene.imaging_study["subject"] = subject
    scene.send(event(2, instance=OTHER), event(3, action=Action.UPDATE, PatientID="P2"))
    assert (scene.imaging_study["subject"], scene.report) == (subject, ["patient_unknown"])
    assert len(scene.patients) == 1


def test_a_lone_event_does_not_go_through_the_instances() -> None:
    class Unread(list[Resource]):
        def __iter__(self) -> Iterator[Resource]:
            raise AssertionError("the list is read")

    places = Places(Unread([{"uid": "1.2.3.1"}]))
    places.apply(change(1))
    assert not places.is_empty


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
