"""What is said of one study."""

from dataclasses import replace

import pytest
from dicomcast_consumer.dlq import read_letter
from dicomcast_consumer.dlq_done import KeptLetter
from dicomcast_consumer.verify import compare
from dicomcast_consumer.web.study_view import Comparison, StudySeen, Trace, conclusion, held, read_uid, traced

from tests.fakes.events import create, delete, record

UID = "1.2.3"


@pytest.mark.parametrize("text", [UID, f" {UID}\n", f"urn:oid:{UID}", f"{UID}\0", "1." + "2" * 62])
def test_a_uid_as_people_paste_it(text: str) -> None:
    assert read_uid(text) == text.strip(" \n\0").removeprefix("urn:oid:")


@pytest.mark.parametrize(
    "text", ["", "Doe^Jane", "1.2.3/../..", "..", "123", "1.2.3?x=y", "1." + "2" * 63, "１.２", "*"]
)
def test_what_is_none(text: str) -> None:
    assert read_uid(text) is None


def test_an_event_is_done_when_the_group_has_passed_it() -> None:
    event = create(5, UID, "1.2.3.1")
    assert traced(record(event, offset=6), committed=7, schema_by_id=None).done
    assert not traced(record(event, offset=7), committed=7, schema_by_id=None).done
    assert not traced(record(event, offset=0), committed=None, schema_by_id=None).done
    shown = traced(record(event, offset=6), committed=7, schema_by_id=None)
    assert (shown.action, shown.sequence, shown.sop_instance_uid) == ("CREATE", 5, "1.2.3.1")
    assert "Doe" not in repr(shown)


def test_a_record_that_cannot_be_decoded_is_told() -> None:
    shown = traced(record(delete(5, UID, "1.2.3.1"), offset=6, value=b"Doe"), committed=7, schema_by_id=None)
    assert shown.fault is not None
    assert "Doe" not in repr(shown)


def test_of_an_imaging_study_nothing_of_the_patient_is_kept() -> None:
    resource = {
        "resourceType": "ImagingStudy",
        "id": "7",
        "meta": {"versionId": "3", "lastUpdated": "2026-05-01T06:00:00Z"},
        "status": "available",
        "subject": {"reference": "Patient/Doe", "display": "Doe"},
        "description": "Doe",
        "started": "1970-01-01",
        "series": [
            {"uid": "1", "modality": {"code": "CT"}, "description": "Doe", "instance": [{"uid": "1"}, {"uid": "2"}]},
            {"uid": "2", "modality": {"code": "Doe Jane"}},
        ],
    }
    found = held(resource)
    assert (found.id, found.version, found.modalities, found.series, found.instances) == ("7", "3", ("CT",), 2, 2)
    assert found.has_subject
    assert "Doe" not in repr(found)
    assert "1970" not in repr(found)
    assert not held({}).has_subject


def trace(*, waiting: int = 0, done: int = 0) -> Trace:
    one = traced(record(create(1, UID, "1.2.3.1"), offset=0), committed=1, schema_by_id=None)
    events = (one,) * done + (replace(one, done=False),) * waiting
    return Trace(partition=0, committed=1, begin=0, end=9, looked_from=0, events=events, more=False)


def comparison(dicom: int, fhir: int) -> Comparison:
    series = {"uid": "1.9", "instance": [{"uid": f"1.{n}"} for n in range(fhir)]}
    found = ({"series": [series]},) if fhir else ()
    return Comparison(feed="main", verdict=compare(UID, [("1.9", f"1.{n}") for n in range(dicom)], found), fault=None)


def pending() -> KeptLetter:
    return KeptLetter(letter=read_letter(record(create(1, UID, "1.2.3.1"), offset=0)), mark=None, copies=1)


UNKNOWN = Comparison(feed="main", verdict=None, fault="QIDO-RS: 503")


@pytest.mark.parametrize(
    ("seen", "level", "title"),
    [
        (StudySeen(uid=UID, trace=trace(done=2), comparisons=[comparison(2, 2)]), "ok", "DICOM and FHIR agree"),
        (StudySeen(uid=UID, trace=trace(done=2), comparisons=[comparison(2, 1)]), "bad", "DICOM and FHIR differ"),
        (StudySeen(uid=UID, trace=trace(waiting=2), comparisons=[comparison(2, 0)]), "info", "2 of its events wait"),
        (
            StudySeen(uid=UID, trace=trace(done=1), letters=[pending()], comparisons=[comparison(1, 0)]),
            "bad",
            "One of its events was rejected",
        ),
        (StudySeen(uid=UID, trace=trace(), comparisons=[comparison(0, 0)]), "info", "Neither server has this study"),
        (StudySeen(uid=UID, trace_fault="x", comparisons=[comparison(0, 0)]), "info", "Neither server has this study"),
        (StudySeen(uid=UID, trace=trace(done=1), comparisons=[UNKNOWN]), "warn", "It could not be compared"),
        (StudySeen(uid=UID, trace=trace(), comparisons=[UNKNOWN]), "warn", "It could not be compared"),
    ],
)
def test_the_sentence_at_the_top(seen: StudySeen, level: str, title: str) -> None:
    found = conclusion(seen)
    assert (found.level, found.title) == (level, title)


def test_a_study_on_neither_server_says_what_is_known_of_it() -> None:
    texts = [
        conclusion(StudySeen(uid=UID, trace=each, comparisons=[comparison(0, 0)])).text
        for each in (None, trace(), trace(done=2))
    ]
    assert [text.split()[0] for text in texts] == ["Whether", "Nor", "It"]


def test_the_repair_names_the_study() -> None:
    assert StudySeen(uid=UID).repair == "dicomcast-consumer verify --study 1.2.3 --repair"
