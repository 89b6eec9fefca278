"""Lists that others write to as well: the same end in every order, and bounded work."""

from itertools import permutations
from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions, Mark, Resource
from dicomcast_consumer.mapping.marks import Marks
from dicomcast_consumer.mapping.shared_lists import MOST, Identity, by_codes, merge_list
from dicomcast_schemas import Action

from tests.unit.mapping.scene import Scene, change, code, event

ISSUER = {"UniversalEntityID": "1.2.276.9", "UniversalEntityIDType": "ISO"}
WORDS_AND_CODE: dict[str, list[dict[str, Any]]] = {
    "procedureCode": [
        {"RequestedProcedureDescription": "CT chest"},
        {"ProcedureCodeSequence": code("RPID16", "RADLEX", "CT chest")},
        {"ProcedureCodeSequence": code("RPID17", "RADLEX", "CT head")},
    ],
    "reasonCode": [
        {"ReasonForTheRequestedProcedure": "pain"},
        {"ReasonForPerformedProcedureCodeSequence": code("22253000", "SCT", "pain")},
        {"ReasonForPerformedProcedureCodeSequence": code("22253000", "NOWHERE", "pain")},
    ],
    "identifier": [
        {"AccessionNumber": "A1"},
        {"AccessionNumber": "A1", "IssuerOfAccessionNumberSequence": ISSUER},
        {"AccessionNumber": "A2"},
    ],
}
ENDS = {
    "procedureCode": ["RPID16", "RPID17"],
    "reasonCode": ["22253000"],
    "identifier": ["urn:oid:1.2.276.9", None],
}


def _told(entry: Resource) -> Any:
    return entry["coding"][0]["code"] if "coding" in entry else entry.get("system")


@pytest.mark.parametrize("element", WORDS_AND_CODE)
def test_what_is_said_less_exactly_gives_its_place_in_every_order(element: str) -> None:
    said = WORDS_AND_CODE[element]
    events = [event(n, instance=f"1.2.3.1.{n}", **one) for n, one in enumerate(said, start=2)]
    ends = set()
    for order in permutations(events):
        for runs in ([[one] for one in order], [list(order)]):
            scene = Scene()
            for run in ([event(1)], *runs):
                scene.send(*run)
            ends.add(scene.content())
    assert len(ends) == 1
    known = [entry for entry in scene.imaging_study[element] if entry.get("system") != "urn:dicom:uid"]
    assert [_told(entry) for entry in known] == ENDS[element]


def test_the_code_of_another_event_has_the_newest_mark_of_what_it_stands_for() -> None:
    words, exact = WORDS_AND_CODE["reasonCode"][:2]
    for first, second in ((words, exact), (exact, words)):
        scene = Scene()
        scene.send_each(event(9, **first), event(2, instance="1.2.3.1.2", **second))
        scene.send(event(5, action=Action.UPDATE, ReasonForTheRequestedProcedure="cough"))
        assert [entry["text"] for entry in scene.imaging_study["reasonCode"]] == ["pain", "cough"]


def test_what_others_wrote_gives_its_place_to_nothing() -> None:
    scene = Scene()
    scene.send(event(1))
    theirs = {"text": "pain"}
    scene.imaging_study["reasonCode"] = [theirs]
    scene.send(event(2, instance="1.2.3.1.2", **WORDS_AND_CODE["reasonCode"][1]))
    assert scene.imaging_study["reasonCode"][0] == theirs
    assert [_told(entry) for entry in scene.imaging_study["reasonCode"][1:]] == ["22253000"]


def test_a_study_id_is_no_accession_number() -> None:
    scene = Scene()
    scene.send(event(1))
    scene.imaging_study["identifier"].append({"type": {"text": "Study ID"}, "value": "A1"})
    scene.send(event(2, instance="1.2.3.1.2", AccessionNumber="A1"))
    assert [entry["value"] for entry in scene.imaging_study["identifier"][1:]] == ["A1", "A1"]


def test_a_bulk_update_of_something_else_leaves_a_study_both_of_its_accession_numbers() -> None:
    scene = Scene()
    both = [{"AccessionNumber": "A1"}, {"AccessionNumber": "A2", "instance": "1.2.3.1.2"}]
    scene.send_each(*(event(n, **one) for n, one in enumerate(both, start=1)))
    scene.send_each(*(event(n, action=Action.UPDATE, PatientName="Doe^J", **one) for n, one in enumerate(both, 3)))
    assert [entry["value"] for entry in scene.imaging_study["identifier"][1:]] == ["A1", "A2"]


def _reasons(numbers: range) -> list[dict[str, str]]:
    return [code(f"{n:04}", "SCT", f"reason {n}") for n in numbers]


def test_a_list_has_the_same_entries_in_every_order_where_there_are_too_many() -> None:
    ends = set()
    for order in permutations((range(90), range(90, 180), range(180, 270))):
        scene = Scene()
        events = [
            event(n, instance=f"1.2.3.1.{n}", ReasonForPerformedProcedureCodeSequence=_reasons(numbers))
            for n, numbers in enumerate(order)
        ]
        scene.send_each(*events)
        assert scene.report == ["too_many_items"]
        assert len(scene.imaging_study["reasonCode"]) == MOST
        ends.add(str(scene.imaging_study["reasonCode"]))
        writes = scene.writes
        scene.send_each(*events)
        assert scene.writes == writes, "a replay"
        ends.add(str(scene.imaging_study["reasonCode"]))
    assert len(ends) == 1


def test_a_patients_list_is_bounded_as_well() -> None:
    options = {"patient": {"other_ids": True, "other_ids_system": "urn:x"}}
    scene = Scene(options=MappingOptions.model_validate(options))
    for n in (1, 2, 3):
        others = [{"PatientID": f"{n}-{i}"} for i in range(100)]
        scene.send(event(n, instance=f"1.2.3.1.{n}", OtherPatientIDsSequence=others))
    assert scene.report == ["too_many_items"]
    assert len(scene.patient["identifier"]) == MOST + 1


def test_each_entry_is_looked_at_once_not_beside_each_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counted(concept: Resource) -> Identity:
        nonlocal looked_at
        looked_at += 1
        return by_codes(concept)

    target: Resource = {}
    marks = Marks({})
    for n in range(0, 180, 90):
        entries = [{"coding": [{"system": "urn:x", "code": str(i)}]} for i in range(n, n + 90)]
        mark = Mark(feed="pacs", sequence=n, timestamp=change(1).mark.timestamp)
        merge_list(target, "reasonCode", entries, identify=counted, replaces=False, mark=mark, marks=marks)
    assert len(target["reasonCode"]) == 180
    assert looked_at < 5 * 180
