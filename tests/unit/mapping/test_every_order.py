"""Three instances that say different things end the same in each of the six orders that they can come in."""

from itertools import permutations
from typing import Any

import pytest

from tests.unit.mapping.scene import Scene, code, event
from tests.unit.mapping.test_properties import EVERYTHING

ISSUER = {"UniversalEntityID": "1.2.276.9", "UniversalEntityIDType": "ISO"}
SAY: dict[str, list[Any]] = {
    "StudyID": ["S2", "S3", "S1"],
    "InstitutionName": ["B", "C", "A"],
    "NameOfPhysiciansReadingStudy": ["B", ["C", "A"], "A"],
    "OperatorsName": ["B", ["C", "A"], "A"],
    "DeviceSerialNumber": ["2", "3", "1"],
    "SpecimenDescriptionSequence": [{"SpecimenIdentifier": f"S-{n}"} for n in (2, 3, 1)],
    "OtherPatientIDs": ["B", ["C", "A"], "A"],
    "OtherPatientIDsSequence": [
        {"PatientID": f"Q-{n}", "IssuerOfPatientIDQualifiersSequence": ISSUER} for n in (2, 3, 1)
    ],
    "AcquisitionDate": ["20240102", "20240103", "20240101"],
    "RequestAttributesSequence": [
        {"AccessionNumber": f"A{n}", "IssuerOfAccessionNumberSequence": ISSUER} for n in (2, 3, 1)
    ],
    "BodyPartExamined": ["CHEST", "KNEE", "HEAD"],
    "NumberOfFrames": [2, 3, 1],
}


@pytest.mark.parametrize("keyword", SAY)
def test_the_end_is_the_same(keyword: str) -> None:
    events = [event(n + 2, instance=f"1.2.3.1.{n + 2}", **{keyword: value}) for n, value in enumerate(SAY[keyword])]
    ends = set()
    for order in permutations(events):
        scene = Scene(options=EVERYTHING)
        scene.send_each(event(1), *order)
        ends.add(scene.content())
    assert len(ends) == 1


def test_a_reader_with_and_without_identification_is_two_entries_in_either_order() -> None:
    identified = {
        "NameOfPhysiciansReadingStudy": "Read^Anna",
        "PhysiciansReadingStudyIdentificationSequence": {"PersonIdentificationCodeSequence": code("17", "SCT")},
    }
    events = [
        event(2, instance="1.2.3.1.2", **identified),
        event(3, instance="1.2.3.1.3", NameOfPhysiciansReadingStudy="Read^Anna"),
    ]
    for order in permutations(events):
        scene = Scene(options=EVERYTHING)
        scene.send_each(event(1), *order)
        assert scene.study is not None
        assert [one.get("identifier", {}).get("value") for one in scene.study["interpreter"]] == ["17", None]
