"""The small values between the parts: records, the cursor's JSON, waits, what is to be done to topics."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from dicomcast_producer.backoff import Backoff
from dicomcast_producer.cursor import Cursor, Identity, cursor_from_json, cursor_json
from dicomcast_producer.entry import FeedEntry, unreadable_entry
from dicomcast_producer.position import LastEntry, Position, sequence_ranges
from dicomcast_producer.record import record_of
from dicomcast_producer.topics import ActualTopic, changes, wanted_topics
from dicomcast_runtime.backoff import retry_after_s
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_settings import TopicSettings
from dicomcast_schemas import Action, DicomChangeEvent, State, decode
from dicomcast_schemas.topic import METADATA, METADATA_TOO_LARGE
from hypothesis import given
from hypothesis import strategies as st

WHEN = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
IDENTITY = Identity(feed="pacs", url="http://pacs", api_version="v1", partitions=12, topic_id="abc")


def entry(metadata: str | None = None, *, sop: str = "1.2.1.1", path: str | None = None) -> FeedEntry:
    return FeedEntry(
        event=DicomChangeEvent(
            feed="pacs",
            sequence=7,
            partition_name=None,
            study_instance_uid="1.2",
            series_instance_uid="1.2.1",
            sop_instance_uid=sop,
            action=Action.CREATE,
            state=State.CURRENT,
            timestamp=WHEN,
            file_path=path,
            metadata=metadata,
        )
    )


def test_a_record_holds_the_event() -> None:
    record = record_of(entry("{}"), schema_id=None, max_bytes=10_000)
    assert record.key == b"1.2"
    assert decode(record.value) == entry("{}").event
    assert dict(record.headers)["ce_id"] == b"pacs:7"
    assert METADATA not in dict(record.headers)


@given(size=st.integers(9_000, 11_000))
def test_no_record_is_larger_than_the_topic_takes(size: int) -> None:
    record = record_of(entry('"' + "x" * size), schema_id=None, max_bytes=10_000)
    assert record.size_bytes <= 10_000
    left_out = dict(record.headers).get(METADATA) == METADATA_TOO_LARGE.encode()
    assert left_out == record.metadata_too_large == (decode(record.value).metadata is None)
    # Never by more than needed: what would have fitted is there.
    whole = record_of(entry('"' + "x" * size), schema_id=None, max_bytes=100_000)
    assert left_out == (whole.size_bytes > 10_000)


def test_nonsense_that_never_fits_keeps_its_sequence() -> None:
    record = record_of(entry("{}", path="x" * 20_000), schema_id=None, max_bytes=10_000)
    event = decode(record.value)
    assert (event.sequence, event.action) == (7, Action.UNKNOWN)
    assert record.key == b"pacs:7"


def test_an_unreadable_entry_is_a_record_of_its_own_key() -> None:
    record = record_of(unreadable_entry("pacs", 9), schema_id=None, max_bytes=10_000)
    assert record.key == b"pacs:9"
    assert dict(record.headers)["ce_type"] == b"org.dicomcast.instance.unknown"


times = st.datetimes(timezones=st.just(UTC))
lasts = st.builds(
    LastEntry,
    sequence=st.integers(1, 2**63 - 1),
    timestamp=times,
    action=st.sampled_from(Action),
    sop_instance_uid=st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,5}){1,5}", fullmatch=True),
)
positions = st.builds(
    Position,
    sequence=st.integers(0, 2**63 - 1),
    read_to=times,
    sent_from=st.none() | times,
    sent=st.sets(st.integers(1, 100)).map(sequence_ranges),
    last=st.none() | lasts,
)


@given(position=positions)
def test_the_cursor_comes_back_as_it_was_written(position: Position) -> None:
    cursor = Cursor(identity=IDENTITY, position=position, instance="i")
    assert cursor_from_json(cursor_json(cursor)) == cursor
    v1 = dataclasses.replace(cursor, position=dataclasses.replace(position, read_to=None, sent_from=None, sent=()))
    assert cursor_from_json(cursor_json(v1)) == v1


def test_a_cursor_of_another_release_is_read() -> None:
    position = Position(sequence=7, read_to=WHEN, sent_from=WHEN, sent=((6, 7),))
    value = json.loads(cursor_json(Cursor(identity=IDENTITY, position=position, instance="i")))
    del value["sent_from"]  # an older one
    value["unknown"] = 1  # a newer one
    found = cursor_from_json(json.dumps(value).encode()).position
    assert found == dataclasses.replace(position, sent_from=None)


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"version":1}', b'{"version":2}'])
def test_a_cursor_that_cannot_be_read_stops(value: bytes) -> None:
    with pytest.raises(BrokenContractError):
        cursor_from_json(value)


@given(sequences=st.sets(st.integers(1, 200)))
def test_ranges_hold_the_same_sequences(sequences: set[int]) -> None:
    ranges = sequence_ranges(sequences)
    assert {s for first, last in ranges for s in range(first, last + 1)} == sequences
    assert all(after[0] > before[1] + 1 for before, after in pairwise(ranges))


def test_identities_differ_by_what_is_known_of_both() -> None:
    assert IDENTITY.differences(IDENTITY) == []
    assert IDENTITY.differences(dataclasses.replace(IDENTITY, topic_id=None)) == []
    assert IDENTITY.differences(dataclasses.replace(IDENTITY, topic_id="x")) == ["topic_id: x, now abc"]
    assert IDENTITY.differences(dataclasses.replace(IDENTITY, partitions=6)) == ["partitions: 6, now 12"]


def test_waits_grow_to_their_bound_and_are_drawn_below_it() -> None:
    backoff = Backoff(first_s=1.0, most_s=8.0)
    for bound in (1, 2, 4, 8, 8, 8):
        assert 0 <= backoff.wait_s() <= bound


def test_what_the_server_asks_for_is_waited() -> None:
    assert Backoff().wait_s(30.0) >= 30.0
    assert Backoff().wait_s(1e9) <= 600.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("12", 12.0),
        ("soon", None),
        ("-5", None),
        ("Thu, 29 Feb 2024 12:00:30 GMT", 30.0),
        ("Thu, 29 Feb 2024 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now=WHEN - timedelta(microseconds=123456)) == seconds


def test_topics_that_are_as_they_must_be_need_nothing() -> None:
    wanted = wanted_topics(TopicSettings(), groups=["g"], letter_partitions=12)
    actual = {
        topic.name: ActualTopic(
            name=topic.name,
            topic_id="x",
            partitions=topic.partitions,
            config={**topic.config, "segment.bytes": "1"},
        )
        for topic in wanted
    }
    assert changes(wanted, actual) == ()
    assert len(changes(wanted, {})) == 4


def test_a_wrong_partition_count_is_told_apart_from_settings() -> None:
    wanted = wanted_topics(TopicSettings(), groups=[], letter_partitions=12)[0]
    actual = ActualTopic(name=wanted.name, topic_id="x", partitions=3, config={**wanted.config, "retention.ms": "5"})
    (change,) = changes([wanted], {wanted.name: actual})
    assert change.wrong_partitions == 3
    assert change.config == {"retention.ms": ("5", "-1")}
    assert change.lines() == ["WRONG: 3 partitions, not 12; cannot be changed", "retention.ms=-1 (is 5)"]
