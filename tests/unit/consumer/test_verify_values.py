"""What a data set says of a study against an ImagingStudy: description, accession number, started."""

from typing import Any

import pytest
from dicomcast_consumer.mapping import (
    MappingOptions,
    Resource,
    SourceProfile,
    read_study_values,
)
from dicomcast_consumer.mapping.identity import our_tag
from dicomcast_consumer.mapping.notes import NOTE_ID
from dicomcast_consumer.verify_values import Held, Said
from dicomcast_consumer.verify_values import bears_out as bears_out_of
from dicomcast_consumer.verify_values import doubts as doubts_of

OURS: dict[str, Any] = {
    "meta": {"tag": [our_tag()]},
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2"}, {"value": "A-1"}],
    "description": "Skull",
    "started": "2026-01-02T10:11:12+01:00",
}
EVERYTHING = {"description", "identifier", "started"}


SUBJECT: dict[str, Any] = {"identifier": [{"system": "urn:x", "value": "P-2"}, {"system": "urn:id", "value": "P-1"}]}


def doubts(study: Resource, found: Said, subject: Resource | None = SUBJECT) -> frozenset[str]:
    return doubts_of(Held(study, subject), found)


def bears_out(study: Resource, found: Said, subject: Resource | None = SUBJECT) -> frozenset[str]:
    return bears_out_of(Held(study, subject), found)


def said(**attributes: str) -> Said:
    """The values of a data set with these attributes, by keyword."""
    tags = {
        "StudyDescription": "00081030",
        "AccessionNumber": "00080050",
        "StudyDate": "00080020",
        "StudyTime": "00080030",
        "TimezoneOffsetFromUTC": "00080201",
        "PatientID": "00100020",
    }
    text = ",".join(f'"{tags[name]}":{{"vr":"LO","Value":["{value}"]}}' for name, value in attributes.items())
    profile = SourceProfile(feed="main", dicomweb_url="https://dicom.example.org", patient_system="urn:id")
    return Said(*read_study_values(f"{{{text}}}", "1.2", profile=profile, options=MappingOptions()))


SAME = said(
    StudyDescription="Skull",
    AccessionNumber="A-1",
    StudyDate="20260102",
    StudyTime="101112",
    TimezoneOffsetFromUTC="+0100",
)
OTHER = said(StudyDescription="Knee", AccessionNumber="A-2", StudyDate="20260103")


def test_what_is_the_same_is_borne_out_and_what_is_not_is_doubtful() -> None:
    assert (doubts(OURS, SAME), bears_out(OURS, SAME)) == (frozenset(), EVERYTHING)
    assert (doubts(OURS, OTHER), bears_out(OURS, OTHER)) == (EVERYTHING, frozenset())


def test_a_data_set_that_says_nothing_neither_doubts_nor_bears_out() -> None:
    assert (doubts(OURS, said()), bears_out(OURS, said())) == (frozenset(), frozenset())


def test_what_fhir_lacks_is_doubtful() -> None:
    assert doubts({"meta": OURS["meta"]}, SAME) == EVERYTHING


@pytest.mark.parametrize(
    ("started", "same"),
    [
        ("2026-01-02", True),
        ("2026-01-02T09:11:12Z", True),
        ("2026-01-02T10:11:12.000+01:00", True),
        ("2026-01-02T10:11:12Z", False),
        ("2026-01-03", False),
        ("2026-01-02T10:11:60+01:00", False),
    ],
)
def test_a_moment_is_the_same_at_another_offset_and_as_its_day(started: str, same: bool) -> None:
    assert ("started" in doubts({**OURS, "started": started}, SAME)) is not same
    assert ("started" in bears_out({**OURS, "started": started}, SAME)) is same


def test_a_day_alone_is_borne_out_by_the_moment() -> None:
    assert bears_out(OURS, said(StudyDate="20260102")) == {"started"}


def test_where_another_system_describes_the_study_our_note_counts() -> None:
    theirs = {**OURS, "description": "CT of the skull", "note": [{"id": NOTE_ID, "text": "Skull"}]}
    assert bears_out(theirs, SAME) == EVERYTHING
    assert doubts({**theirs, "note": [{"text": "Skull"}]}, SAME) == {"description"}


def test_the_start_that_another_system_wrote_is_not_ours_to_judge() -> None:
    theirs = {name: value for name, value in OURS.items() if name != "meta"}
    assert doubts(theirs, OTHER) == {"description", "identifier"}


def test_the_subject_is_the_patient_of_the_data_set_or_it_is_doubtful() -> None:
    assert bears_out(OURS, said(PatientID="P-1")) == {"subject"}
    for other in ("P-2", "P-3"):
        assert doubts(OURS, said(PatientID=other)) == {"subject"}
    assert doubts(OURS, said(PatientID="P-1"), subject=None) == {"subject"}


def test_where_no_patient_may_be_made_up_a_data_set_without_one_says_nothing() -> None:
    assert said(StudyDescription="Skull").patient is None
