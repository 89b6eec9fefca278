"""A dead letter as a person sees it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dicomcast_consumer.command_settings import LetterSettings
from dicomcast_consumer.dead_letter import letter_headers
from dicomcast_consumer.dlq import DeadLetter, Filters, as_document, event_document, parse_position, read_letter
from dicomcast_consumer.dlq_done import KeptLetter, Outcome, kept_letters, mark_key, mark_value, read_marks
from dicomcast_consumer.dlq_shown import letter_document
from dicomcast_consumer.dlq_verdict import verdict
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from dicomcast_consumer.record import Record
from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import CE_ID, CE_SOURCE, CE_SUBJECT, CE_TYPE, CONTENT_TYPE, METADATA, METADATA_TOO_LARGE

from tests.fakes.events import FEED, create, delete, record

FAILED_AT = datetime(2026, 5, 1, 6, tzinfo=UTC)
PROFILE = SourceProfile(feed=FEED, dicomweb_url="https://pacs.example/dicomweb")


def mark(newest: DeadLetter, outcome: Outcome) -> Record:
    """That the letter is done, as it stands on the topic."""
    assert newest.id is not None
    key, value = mark_key(newest.id), mark_value(newest, outcome, FAILED_AT)
    return replace(record(create(1, "1.2", "1.2.3"), offset=0), key=key, value=value)


def letter(event: DicomChangeEvent, *, code: str = "map.patient_id_missing", status: int | None = None) -> Record:
    """As the consumer writes it, at 2:7 of the dead-letter topic."""
    source = record(event, offset=41, partition=2)
    error = RejectedError(code.split(".")[0], code, "the data set has no PatientID (0010,0020)", status)
    headers = letter_headers(source, error, group="g", failed_at=FAILED_AT)
    return replace(source, topic="t.g.dlq", offset=7, headers=headers)


def now(kept: Record, options: MappingOptions | None = None, profile: SourceProfile | None = PROFILE) -> str:
    profiles = {} if profile is None else {FEED: profile}
    return verdict(kept, profiles=profiles, options=options or MappingOptions(), schema_by_id=None)


def test_a_letter_by_its_headers() -> None:
    assert as_document(read_letter(letter(create(9, "1.2", "1.2.3"), code="fhir.refused", status=422))) == {
        "position": "2:7",
        "study_instance_uid": "1.2",
        "sop_instance_uid": "1.2.3",
        "feed": "main",
        "sequence": 9,
        "reason": "fhir",
        "code": "fhir.refused",
        "text": "the data set has no PatientID (0010,0020)",
        "http_status": 422,
        "attempts": 1,
        "failed_at": "2026-05-01T06:00:00.000000Z",
        "source": "dicom.changes.v1[2]@41",
    }


@pytest.mark.parametrize("attempts", [b"many", b"9" * 5_000])
def test_a_record_that_is_no_letter_of_ours_is_shown_all_the_same(attempts: bytes) -> None:
    bare = replace(record(create(9, "1.2", "1.2.3"), offset=0), headers=(("dlq.attempts", attempts),), key=None)
    found = read_letter(bare)
    assert (found.study, found.sequence, found.code, found.attempts, found.failed_at) == (None, None, "", 0, None)


def shown(record: Record, *letters: KeptLetter, metadata: bool = False) -> dict[str, object]:
    """As `dlq show --json` shows it."""
    settings = LetterSettings.model_validate({"kafka": {"bootstrap.servers": "127.0.0.1:9"}})
    document = letter_document(settings, letters, record, metadata=metadata)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def kept(*records: Record, done: Outcome | None = None) -> list[KeptLetter]:
    """What is known of the letters of one event, the newest of which may be done."""
    letters = [read_letter(each) for each in records]
    return kept_letters(letters, read_marks([mark(letters[-1], done)] if done else []))


def test_the_command_that_replays_is_shown_only_where_it_would_be_taken() -> None:
    first = letter(create(9, "1.2", "1.2.3"))
    second = replace(first, offset=8)
    replay = "dicomcast-consumer dlq replay"
    document = shown(first, *kept(first))
    assert (document["state"], document["replay"]) == ("pending", f"{replay} 2:7")
    document = shown(first, *kept(first, done=Outcome.APPLIED))
    assert (document["state"], document["replay"]) == ("applied at 2026-05-01T06:00:00.000000Z", None)
    document = shown(first, *kept(first, second))
    assert str(document["state"]).startswith("overtaken by 2:8")
    assert document["replay"] == f"{replay} 2:8"
    document = shown(first, *kept(first, second, done=Outcome.GONE))
    assert str(document["state"]).startswith("overtaken by 2:8")
    assert document["replay"] is None
    document = shown(second, *kept(first))
    assert (document["state"], document["replay"]) == ("pending", f"{replay} 2:8"), "it came after the others were read"


def test_what_others_wrote_is_shown_only_where_it_has_the_form_of_ours() -> None:
    """A key, a header or a UID of another producer may be a patient's name, or a number that is one."""
    headers = [(name, "Meier^Hans") for name in (CE_ID, CE_SUBJECT, CE_SOURCE, CE_TYPE, CONTENT_TYPE, "patient")]
    foreign = replace(
        letter(create(9, "Meier^Hans", "Meier^Hans")),
        key=b"Meier^Hans",
        headers=(*((name, value.encode()) for name, value in headers), ("dlq.error.code", b"decode.malformed")),
    )
    document = shown(foreign)
    assert "Meier" not in json.dumps(document)
    assert document["headers"]["patient"] == "not shown (10 bytes)"  # type: ignore[index]
    assert document["letter"]["code"] == "decode.malformed"  # type: ignore[index]
    assert read_letter(foreign).study is None
    assert shown(foreign, metadata=True)["key"] == "Meier^Hans"
    assert read_letter(replace(foreign, key=b"4711")).study is None, "a PatientID"
    assert read_letter(replace(foreign, key=b"meier:1962")).study is None


def test_of_ours_everything_is_shown() -> None:
    record = letter(create(9, "1.2", "1.2.3"))
    assert shown(record)["headers"] == {name: (value or b"").decode() for name, value in record.headers}
    nameless = letter(replace(create(9, "", "1.2.3")))
    assert read_letter(nameless).study == "main:9"


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        (Filters(), True),
        (Filters(study="1.2"), True),
        (Filters(study="1.2.3"), False),
        (Filters(code="map.patient_id_missing"), True),
        (Filters(code="map"), True),
        (Filters(code="map.patient"), False),
        (Filters(code="fhir"), False),
        (Filters(since=FAILED_AT), True),
        (Filters(since=FAILED_AT + timedelta(seconds=1)), False),
        (Filters(study="1.2", code="fhir"), False),
    ],
)
def test_filters(filters: Filters, matches: bool) -> None:
    assert filters.match(read_letter(letter(create(9, "1.2", "1.2.3")))) is matches


def test_the_event_is_shown_without_patient_data() -> None:
    event = replace(create(9, "1.2", "1.2.3"), file_path="doe/jane/1.dcm")
    text = json.dumps(event_document(event))
    assert "Doe" not in text
    assert "P1" not in text
    assert "jane" not in text
    assert json.loads(text)["metadata_bytes"] == len(event.metadata or "")


def test_what_the_mapping_says_now() -> None:
    without = create(9, "1.2", "1.2.3", patient_id=None)
    assert now(letter(without)).startswith("rejected again: map.patient_id_missing")
    assert now(letter(without), MappingOptions(missing_patient_id="placeholder")) == "mapped: upsert"
    assert now(letter(delete(9, "1.2", "1.2.3"))) == "mapped: remove"
    assert "leaving out PatientSex" in now(letter(create(9, "1.2", "1.2.3", sex="D")))


def test_what_the_mapping_cannot_say() -> None:
    kept = letter(create(9, "1.2", "1.2.3"))
    assert "not configured" in now(kept, profile=None)
    assert "cannot be decoded" in now(replace(kept, value=b"damaged"))
    assert "upgrade this reader" in now(replace(kept, value=b"\xc3\x01" + bytes(8)))
    other = replace(create(9, "1.2", "1.2.3"), partition_name="other")
    assert "data partition 'other'" in now(letter(other))
    left_out = letter(replace(create(9, "1.2", "1.2.3"), metadata=None))
    left_out = replace(left_out, headers=(*left_out.headers, (METADATA, METADATA_TOO_LARGE.encode())))
    assert "WADO-RS" in now(left_out)


def test_positions() -> None:
    assert parse_position("2:7") == (2, 7)
    for text in ("7", "a:b", "2:-7", "2:7:1"):
        with pytest.raises(ValueError, match="PARTITION:OFFSET"):
            parse_position(text)
