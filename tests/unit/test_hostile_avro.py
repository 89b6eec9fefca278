"""Bytes and schemas that mean harm: a value or the codec's own error, bounded by their length; the feed goes on."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from dicomcast_consumer.worker import Limits
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_schemas import (
    SCHEMA_JSON,
    ContractError,
    DicomChangeEvent,
    MalformedRecordError,
    decode,
    encode,
)
from dicomcast_schemas.topic import DeadLetterHeader, text_headers
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.avro import HOSTILE_BYTES, HOSTILE_SCHEMAS, OURS, confluent, with_field
from tests.fakes.events import create, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member

FAST = Limits(commit_every_s=0.02)
EVENT = create(1, "1.1", "1.1.1")
LATER = {
    0: SCHEMA_JSON,
    1: with_field("string"),
    2: with_field({"type": "array", "items": ["null", "long"]}),
    3: with_field({"type": "map", "values": {"type": "fixed", "name": "F", "size": 3}}),
    4: with_field({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}),
}
"""Schemas that a later release could have."""

pieces = st.sampled_from([encode(EVENT)[10:], b"\0" * 12, b"\xff" * 12, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"])
bodies = st.binary(max_size=200) | st.lists(pieces | st.binary(max_size=20), max_size=6).map(b"".join)
framed = st.builds(confluent, st.sampled_from(sorted(LATER)), bodies)


def outcome(value: bytes | None, schema_by_id: Callable[[int], str] | None = LATER.__getitem__) -> object:
    """What `decode` gives, with the codec's own error as a value. Anything else that it raises fails the test."""
    try:
        return decode(value, schema_by_id=schema_by_id)
    except ContractError as error:
        return error


def is_right(found: object) -> bool:
    """A whole event, each field of its type, or an error whose text is short."""
    if isinstance(found, DicomChangeEvent):
        return isinstance(found.sequence, int) and found.timestamp.tzinfo is UTC and found.feed.isascii() is not None
    return isinstance(found, ContractError) and len(str(found)) < 300


@given(st.none() | st.binary(max_size=400) | bodies.map(OURS.__add__) | framed)
def test_any_bytes_are_an_event_or_the_codecs_own_error(value: bytes | None) -> None:
    assert is_right(outcome(value))


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4), st.integers(0, 4))
def test_a_damaged_event_is_an_event_or_the_codecs_own_error(at: int, put: bytes, cut: int) -> None:
    value = encode(EVENT)
    at %= len(value)
    assert is_right(outcome(value[:at] + put + value[at + cut :]))


avro_types = st.recursive(
    st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string", "DicomChangeEvent", "N"])
    | st.builds(lambda size: {"type": "fixed", "name": "F", "size": size}, st.sampled_from([-1, 0, 1, 2**40]))
    | st.just({"type": "enum", "name": "E", "symbols": ["A"]}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda values: {"type": "map", "values": values}, inner)
        | st.builds(lambda one: {"type": "record", "name": "N", "fields": [{"name": "x", "type": one}]}, inner)
    ),
    max_leaves=6,
)


@given(avro_types, bodies)
def test_any_schema_of_the_registry_gives_an_event_or_the_codecs_own_error(avro_type: object, body: bytes) -> None:
    schema = with_field(avro_type)
    assert is_right(outcome(confluent(1, body), lambda _: schema))


FIELDS = [field["name"] for field in json.loads(SCHEMA_JSON)["fields"]]
KINDS = [
    *("string", "bytes", "int", "long", "double", "boolean"),
    {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1},
    {"type": "string", "logicalType": "uuid"},
    *({"type": "long", "logicalType": name} for name in ("timestamp-millis", "local-timestamp-micros", "time-micros")),
    {"type": "int", "logicalType": "date"},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_another_type_is_never_passed_on(name: str, kind: object) -> None:
    """Bug put back: a `sequence` that is a date, a `timestamp` that is a number."""
    schema = json.loads(SCHEMA_JSON)
    field = next(field for field in schema["fields"] if field["name"] == name)
    field["type"] = kind
    field.pop("default", None)
    for body in (b"\2" * 40, b"\0" * 40, *(b"\2" * n + b"\0" * (16 - n) for n in range(16))):
        for length in range(len(body)):
            found = outcome(confluent(1, body[:length]), lambda _: json.dumps(schema))
            if isinstance(found, DicomChangeEvent):
                texts = (found.feed, found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid)
                options = (found.partition_name, found.file_path, found.metadata)
                assert type(found.sequence) is int
                assert type(found.timestamp) is datetime
                assert found.timestamp.tzinfo is not None
                assert all(type(text) is str for text in texts)
                assert all(text is None or type(text) is str for text in options)


@pytest.mark.parametrize("name", [*HOSTILE_BYTES, *HOSTILE_SCHEMAS])
def test_what_means_harm_is_refused_and_takes_no_more_than_its_length(name: str) -> None:
    """Bugs put back: a list of one schema that nests in itself ends the process, an array of nulls never ends."""
    schema, value = SCHEMA_JSON, HOSTILE_BYTES.get(name, b"")
    if name in HOSTILE_SCHEMAS:
        schema, body = HOSTILE_SCHEMAS[name]
        value = confluent(1, body)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedRecordError):
            decode(value, schema_by_id=lambda _: schema)
        assert tracemalloc.get_traced_memory()[1] < 40 * len(value) + 40 * len(schema) + 1_000_000
    finally:
        tracemalloc.stop()


def codes(member: Member) -> list[str]:
    return [text_headers(letter.headers)[DeadLetterHeader.ERROR_CODE] for letter in member.source.letters]


async def found(member: Member) -> set[str]:
    studies = await member.studies()
    return {i["uid"] for study in studies for series in study["series"] for i in series["instance"]}


def test_each_becomes_a_letter_with_its_reason_and_the_events_around_it_are_applied(fhir: RunningFhirServer) -> None:
    schemas = {number: schema for number, (schema, _) in enumerate(HOSTILE_SCHEMAS.values(), start=1)}
    values = [*HOSTILE_BYTES.values()]
    values += [confluent(number, body) for number, (_, body) in enumerate(HOSTILE_SCHEMAS.values(), start=1)]

    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=FAST, schema_by_id=schemas.__getitem__) as member:
            sent = []
            for n, value in enumerate(values):
                # Of one study: what is refused holds up neither it nor what comes after.
                sent.append(record(create(2 * n + 1, "1.1", f"1.1.{n}"), offset=2 * n))
                sent.append(record(EVENT, offset=2 * n + 1, value=value))
            member.source.produce(sent)
            await member.committed(len(sent))
            assert codes(member) == ["decode.malformed"] * len(values)
            letters = [text_headers(letter.headers) for letter in member.source.letters]
            assert [int(one[DeadLetterHeader.SOURCE_OFFSET]) for one in letters] == [*range(1, len(sent), 2)]
            assert all(0 < len(one[DeadLetterHeader.ERROR_MESSAGE]) < 300 for one in letters)
            assert [letter.record.value for letter in member.source.letters] == values
            assert await found(member) == {f"1.1.{n}" for n in range(len(values))}

    asyncio.run(scenario())


UNKNOWN = {
    "a fingerprint": (b"\xc3\x01" + b"\1\2\3\4\5\6\7\x08" + b"main", "0102030405060708"),
    "an id": (confluent(404, b"main"), "404"),
}


@pytest.mark.parametrize(("value", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_schema_stops_its_partition_and_no_other(fhir: RunningFhirServer, value: bytes, said: str) -> None:
    """No letter: the next release reads it. What came before is done, what comes after waits."""

    reached: list[str] = []

    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=FAST, partitions=2, schema_by_id={}.__getitem__) as member:
            member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
            await member.committed(1)
            member.source.produce([record(create(2, "1.2", "1.2.1"), offset=1, value=value)])
            member.source.produce([record(create(3, "1.3", "1.3.1"), offset=0, partition=1)])
            await eventually(lambda: 0 in member.worker.state.stopped, member.task)
            member.source.produce([record(create(4, "1.4", "1.4.1"), offset=1, partition=1)])
            await member.committed(2, partition=1)
            assert member.source.letters == []
            assert member.source.committed[0] == 1
            assert said in member.worker.state.stopped[0]
            assert "offset 1" in member.worker.state.stopped[0]
            reached.append("the end")

    with pytest.raises(BrokenContractError, match=said):
        asyncio.run(scenario())
    assert reached  # the member's error at its end hides one of this test


EXTREMES: dict[str, DicomChangeEvent] = {
    "the first year": replace(EVENT, timestamp=datetime(1, 1, 1, tzinfo=UTC)),
    "the last year": replace(EVENT, timestamp=datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    "the highest sequence": replace(EVENT, sequence=2**63 - 1),
    "the lowest sequence": replace(EVENT, sequence=-(2**63)),
    "a study without a UID": replace(EVENT, study_instance_uid=""),
    "a UID of NULs": replace(EVENT, sop_instance_uid="\0" * 64),
    "a UID of a megabyte": replace(EVENT, series_instance_uid="1" * 1_000_000),
    "no metadata and no text of it": replace(EVENT, metadata=""),
    "metadata of another kind": replace(EVENT, metadata="[" * 100_000),
    "metadata with lone surrogates": replace(EVENT, metadata='{"00100010": {"vr": "PN", "Value": ["\\ud800"]}}'),
    "metadata with a number without end": replace(EVENT, metadata='{"00200013": {"vr": "IS", "Value": [1e999999]}}'),
}


@pytest.mark.parametrize("event", EXTREMES.values(), ids=EXTREMES)
def test_an_event_of_extreme_values_is_applied_or_a_letter_with_a_name(
    fhir: RunningFhirServer, event: DicomChangeEvent
) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=FAST) as member:
            member.source.produce([record(event, offset=0), record(create(9, "1.9", "1.9.1"), offset=1)])
            await member.committed(2)
            assert "map.defect" not in codes(member)
            assert await found(member) >= {"1.9.1"}
            assert len(codes(member)) + len(await found(member)) == 2

    asyncio.run(scenario())


def test_a_feed_that_is_not_configured_is_named_in_few_words(fhir: RunningFhirServer) -> None:
    event = replace(EVENT, feed="x" * 100_000)

    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=FAST) as member:
            member.source.produce([record(event, offset=0)])
            await member.task

    with pytest.raises(BrokenContractError, match="not configured") as raised:
        asyncio.run(scenario())
    assert len(str(raised.value)) < 500
