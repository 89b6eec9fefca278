"""The oracle of the chaos runs finds what it is there for; on a sound run it is silent."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog
from dicomcast_schemas import Action, DicomChangeEvent

from tests.chaos.evidence import Evidence, FeedRow, Letter, Sample, TopicRecord, Transaction, Written
from tests.chaos.oracle import judge
from tests.chaos.repeats import ends_lost
from tests.chaos.story import REFUSED_FROM
from tests.fakes.events import create, delete, update

STUDY, A, B = "1.1", "1.1.1", "1.1.2"


def event(make: Any, sequence: int, sop: str, *, without: str = "", **changed: Any) -> DicomChangeEvent:
    """An event whose instance number is its sequence, and so is its description."""
    found: DicomChangeEvent = make(sequence, STUDY, sop, number=sequence, description=f"study {sequence}", **changed)
    data_set = json.loads(found.metadata or "")
    del data_set["00100010"]  # the patient's name
    data_set.pop(without, None)
    return replace(found, metadata=json.dumps(data_set))


def records(*events: DicomChangeEvent) -> list[TopicRecord]:
    """One partition; odd offsets are markers."""
    return [
        TopicRecord(partition=0, offset=2 * n, key=one.study_instance_uid, event=one) for n, one in enumerate(events)
    ]


def rows(found: Sequence[TopicRecord]) -> list[FeedRow]:
    return [
        FeedRow(
            sequence=one.event.sequence,
            action=one.event.action.value,
            study=one.event.study_instance_uid,
            series=one.event.series_instance_uid,
            sop=one.event.sop_instance_uid,
        )
        for one in found
    ]


def patient(identity: str = "P1", value: str = "P1") -> Written:
    resource = {"resourceType": "Patient", "id": identity, "identifier": [{"value": value}]}
    return Written(type="Patient", id=identity, number=1, resource=resource)


def study(numbers: dict[str, int], *, number: int = 1, identity: str = "S1", **changed: Any) -> Written:
    """The study with these instances, described by the highest."""
    resource = {
        "resourceType": "ImagingStudy",
        "id": identity,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        "status": "available",
        "modality": [{"code": "CT"}],
        "subject": {"reference": "Patient/P1"},
        "numberOfSeries": 1,
        "numberOfInstances": len(numbers),
        "description": f"study {max(numbers.values(), default=0)}",
        "series": [{"uid": "1.9", "instance": [{"uid": uid, "number": one} for uid, one in numbers.items()]}],
        **changed,
    }
    return Written(type="ImagingStudy", id=identity, number=number, resource=resource)


def gone(identity: str = "S1") -> Written:
    return Written(type="ImagingStudy", id=identity, number=9, resource=None)


def wrote(at_s: float, *versions: Written) -> Transaction:
    return Transaction(at_s=at_s, versions=versions)


def sampled(at_s: float, offset: int, *, is_replay: bool = False) -> Sample:
    return Sample(at_s=at_s, offsets={0: offset}, is_replay=is_replay)


SOUND = Evidence(
    rows=rows(records(event(create, 1, A), event(create, 2, B), event(update, 3, A))),
    live={A: 3, B: 2},
    records=records(event(create, 1, A), event(create, 2, B), event(update, 3, A)),
    letters=[],
    transactions=[
        wrote(1, patient(), study({A: 1})),
        wrote(3, study({A: 1, B: 2}, number=2)),
        wrote(5, study({A: 3, B: 2}, number=3)),
    ],
    samples=[sampled(2, 2), sampled(4, 4), sampled(6, 6)],
)


def test_a_sound_run_is_sound() -> None:
    verdict = judge(SOUND)
    assert verdict.violations == []
    assert verdict.figures["events"] == 3
    assert verdict.figures["writes_ImagingStudy"] == 3


def violations(**changed: Any) -> str:
    return "\n".join(judge(replace(SOUND, **changed)).violations)


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ([0, 2], "sequence 2 is not on the topic"),
        ([0, 1, 1, 2], "sequence 2 is on the topic 2 times"),
        ([1, 0, 2], "sequence 1 comes after 2 of its study"),
    ],
)
def test_the_topic_has_each_change_once_and_in_order(kept: list[int], says: str) -> None:
    assert says in violations(records=[SOUND.records[n] for n in kept])


def test_only_a_repeat_that_was_announced_and_comes_straight_after_itself_is_none() -> None:
    def repeated(*order: int, ends_lost: dict[int, int]) -> str:
        """The sound run with these of its records in this order, then as its feed says."""
        found = [replace(SOUND.records[n], offset=10 * place) for place, n in enumerate(order)]
        return violations(records=found, samples=[sampled(6, 10 * len(order))], ends_lost=ends_lost)

    assert repeated(0, 1, 1, 2, ends_lost={0: 1}) == ""
    assert "sequence 2 is on the topic 2 times" in repeated(0, 1, 1, 2, ends_lost={1: 1})
    assert "sequence 2 is on the topic 2 times" in repeated(0, 1, 1, 1, 2, ends_lost={0: 1})
    assert "sequence 1 is on the topic 2 times" in repeated(0, 1, 0, 2, ends_lost={0: 1})


def test_a_repeat_is_counted_and_a_letter_of_it_is_one_of_the_event() -> None:
    refused = event(create, 2, B, without="00100020")
    found = records(event(create, 1, A), refused, refused, event(update, 3, A))
    letters = [Letter(partition=0, offset=offset, code="map.patient_id_missing") for offset in (2, 4)]
    transactions = [SOUND.transactions[0], wrote(5, study({A: 3}, number=3))]
    changed = {"records": found, "live": {A: 3, B: 2}, "samples": [sampled(2, 2), sampled(6, 8)]}
    verdict = judge(replace(SOUND, **changed, letters=letters, transactions=transactions, ends_lost={0: 1}))
    assert verdict.violations == []
    assert verdict.figures["events_repeated_to_end_a_transaction"] == 1


def test_what_the_producer_says_of_ends_that_were_lost() -> None:
    def said(*partitions: str, committed: bool) -> str:
        given = {"timestamp": "t", "level": "warning", "event": "transaction.left_open"}
        line = {**given, "partitions": list(partitions), "committed": committed}
        return structlog.processors.LogfmtRenderer(key_order=list(given), drop_missing=True)(None, "", line)

    log = [said("a.v1[3]", "a.v1[11]", "a.v1.cursor[0]", committed=True), said("a.v1[3]", committed=False)]
    assert ends_lost("\n".join([*log, said("a.v1[3]", committed=True)]), "a.v1") == {3: 2, 11: 1}


def test_an_offset_ahead_of_fhir() -> None:
    assert f"{B} is None in FHIR" in violations(samples=[sampled(2, 4), sampled(6, 6)])


def test_a_write_that_turns_back_what_is_committed() -> None:
    frozen = wrote(7, study({A: 1, B: 2}, number=4))
    assert f"a write: {A} is 1 in FHIR" in violations(transactions=[*SOUND.transactions, frozen])


def test_a_redo_of_what_is_not_committed_is_no_violation_and_counted() -> None:
    redo = [wrote(5.1, study({A: 1, B: 2}, number=4)), wrote(5.2, study({A: 3, B: 2}, number=5))]
    verdict = judge(replace(SOUND, transactions=[*SOUND.transactions, *redo]))
    assert verdict.violations == []
    assert verdict.figures["writes_undone_and_redone"] == 1


def test_offsets_never_go_back_but_for_a_replay() -> None:
    assert "went back from 4 to 2" in violations(samples=[sampled(4, 4), sampled(4.5, 2), sampled(6, 6)])
    assert violations(samples=[*SOUND.samples, Sample(at_s=8, offsets={}, is_replay=True), sampled(9, 6)]) == ""
    redo = [wrote(8.1, study({A: 1, B: 2}, number=4)), wrote(8.2, study({A: 3, B: 2}, number=5))]
    replayed = [*SOUND.samples, Sample(at_s=8, offsets={}, is_replay=True)]
    assert violations(samples=replayed, transactions=[*SOUND.transactions, *redo]) == ""
    assert "a write" in violations(transactions=[*SOUND.transactions, *redo])


def test_a_study_or_patient_that_is_there_twice() -> None:
    assert "there are 2 of ImagingStudy" in violations(
        transactions=[*SOUND.transactions, wrote(6, study({A: 3, B: 2}, identity="S2"))]
    )
    assert "there are 2 of Patient" in violations(transactions=[*SOUND.transactions, wrote(6, patient("P2"))])


def test_a_version_with_nothing_new() -> None:
    again = wrote(6, study({A: 3, B: 2}, number=4))
    assert "nothing new in version 4" in violations(transactions=[*SOUND.transactions, again])


def test_what_is_left_is_what_the_events_say() -> None:
    def ends_as(*versions: Written) -> str:
        return violations(transactions=[*SOUND.transactions[:2], wrote(5, *versions)])

    assert "must be 3" in ends_as(study({A: 1, B: 2}, number=3, description="study 3"))
    assert "must have" in ends_as(study({A: 3}, number=3))
    assert "counts (1, 3)" in ends_as(study({A: 3, B: 2}, number=3, numberOfInstances=3))
    assert "described as 'old'" in ends_as(study({A: 3, B: 2}, number=3, description="old"))
    assert "other modalities" in ends_as(study({A: 3, B: 2}, number=3, modality=[]))
    assert "is registered" in ends_as(study({A: 3, B: 2}, number=3, status="registered"))
    assert "of another patient" in ends_as(
        patient("P2", "P2"), study({A: 3, B: 2}, number=3, subject={"reference": "Patient/P2"})
    )
    assert "not in FHIR" in ends_as(gone())
    assert "no event says so" in ends_as(study({A: 3, B: 2, "1.1.3": 3}, number=3))


def test_the_dicom_server_has_the_last_word() -> None:
    assert f"{B} is in FHIR and not on the DICOM server" in violations(live={A: 3})
    assert f"{A} is 4 on the DICOM server" not in violations(live={A: 4, B: 2})  # its event is yet to come


def test_a_deletion() -> None:
    found = records(event(create, 1, A), delete(2, STUDY, A))
    changed = {"records": found, "rows": rows(found), "live": {}, "samples": [sampled(2, 2), sampled(6, 4)]}
    first = wrote(1, patient(), study({A: 1}))
    assert violations(**changed, transactions=[first, wrote(5, gone())]) == ""
    assert f"{A} is 1 in FHIR, and must be one of ['None']" in violations(**changed, transactions=[first])


def test_a_patients_name_is_the_last_one_but_for_a_study_that_came_and_went() -> None:
    def called(name: str, *events: DicomChangeEvent) -> str:
        found = records(*events)
        who = patient()
        who = replace(who, resource={**(who.resource or {}), "name": [{"family": "Doe", "given": [name]}]})
        live = {A: 2} if events[-1].action is not Action.DELETE else {}
        transactions = [wrote(1, who, study({A: 2})) if live else wrote(1, who)]
        return violations(records=found, rows=rows(found), live=live, samples=[], transactions=transactions)

    first, second = create(1, STUDY, A, number=1, patient_name=DOE), update(2, STUDY, A, number=2, patient_name=ROE)
    second = replace(second, metadata=(second.metadata or "").replace("CHEST", "study 2"))
    assert called("Roe", first, second) == ""
    assert "called 'Doe^Jane', and must be one of ['Doe^Roe']" in called("Jane", first, second)
    gone = delete(3, STUDY, A)
    for name in ("Jane", "Roe"):
        assert called(name, first, second, gone) == ""
    assert "called 'Doe^Poe'" in called("Poe", first, second, gone)


DOE, ROE = {"Alphabetic": "Doe^Jane"}, {"Alphabetic": "Doe^Roe"}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (event(create, 2, B, without="00100020"), "map.patient_id_missing"),
        (event(create, 2, B, without="00080016"), "map.sop_class_uid_missing"),
        (replace(event(create, 2, B), study_instance_uid="9.9"), "map.uid_mismatch"),
    ],
)
def test_a_letter_must_be_one_and_no_other_event_may(bad: DicomChangeEvent, code: str) -> None:
    found = records(event(create, 1, A), bad, event(update, 3, A))
    changed = {"records": found, "rows": rows(found), "live": {A: 3, B: 2}}
    transactions = [SOUND.transactions[0], wrote(5, study({A: 3}, number=3))]
    letter = Letter(partition=0, offset=2, code=code)
    assert violations(**changed, transactions=transactions, letters=[letter]) == ""
    assert "became no letter" in violations(**changed, transactions=transactions)
    assert "sequence 2 became fhir.422" in violations(letters=[replace(letter, code="fhir.422")])


def test_what_fhir_refuses_is_a_letter_unless_a_later_event_of_the_instance_stands_in() -> None:
    refused = event(update, 2, A)
    refused = replace(refused, metadata=(refused.metadata or "").replace("[2]", f"[{REFUSED_FROM + 2}]"))
    found = records(event(create, 1, A), refused, event(update, 3, A))
    changed = {"records": found, "rows": rows(found), "live": {A: 3}}
    transactions = [SOUND.transactions[0], wrote(5, study({A: 3}, number=3))]
    assert violations(**changed, transactions=transactions) == ""
    found = found[:2]
    changed = {"records": found, "rows": rows(found), "live": {A: 2}}
    assert "became no letter" in violations(**changed, transactions=transactions[:1])
