"""The contract of the topic: framing, key, partition, headers."""

import contextlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import pytest
from dicomcast_schemas import (
    FINGERPRINT,
    SCHEMA_JSON,
    Action,
    DicomChangeEvent,
    MalformedRecordError,
    State,
    UnknownSchemaError,
    decode,
    encode,
)
from dicomcast_schemas.topic import event_headers, partition_for, record_key
from hypothesis import given
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent.parent / "data" / "contract"

uids = st.from_regex(r"[0-9]+(\.[0-9]+){1,8}", fullmatch=True)
events = st.builds(
    DicomChangeEvent,
    feed=st.text(min_size=1, max_size=20),
    sequence=st.integers(0, 2**63 - 1),
    partition_name=st.none() | st.text(max_size=20),
    study_instance_uid=uids,
    series_instance_uid=uids,
    sop_instance_uid=uids,
    action=st.sampled_from(Action),
    state=st.sampled_from(State),
    timestamp=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    file_path=st.none() | st.text(max_size=40),
    metadata=st.none() | st.text(),
)

EVENT = DicomChangeEvent(
    feed="main-pacs",
    sequence=1234567890123,
    partition_name="Microsoft.Default",
    study_instance_uid="1.2.826.0.1.3680043.8.498.1",
    series_instance_uid="1.2.826.0.1.3680043.8.498.1.2",
    sop_instance_uid="1.2.826.0.1.3680043.8.498.1.2.3",
    action=Action.CREATE,
    state=State.CURRENT,
    timestamp=datetime(2023, 5, 3, 10, 58, 0, 123456, UTC),
    file_path=None,
    metadata='{"00080060":{"vr":"CS","Value":["CT"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Äßé^山"}]}}',
)


@given(events)
def test_both_framings_round_trip(event: DicomChangeEvent) -> None:
    assert decode(encode(event)) == event
    assert decode(encode(event, schema_id=7), schema_by_id={7: SCHEMA_JSON}.__getitem__) == event


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.hex")), ids=lambda path: path.stem)
def test_records_of_every_released_schema_are_read(golden: Path) -> None:
    assert decode(bytes.fromhex(golden.read_text())) == EVENT


def test_released_schemas_never_change() -> None:
    """A changed .avsc changes its fingerprint: add a file to RELEASED and a golden record instead."""
    assert FINGERPRINT.hex() == json.loads((GOLDEN / "fingerprints.json").read_text())["dicom_change_event.avsc"]


def test_every_field_and_type_of_the_schema_has_a_doc() -> None:
    schema = json.loads(SCHEMA_JSON)
    assert schema["doc"]
    assert all(field["doc"] for field in schema["fields"])
    assert [f["name"] for f in schema["fields"]] == list(DicomChangeEvent.__dataclass_fields__)


def test_a_later_schema_is_read_through_the_registry() -> None:
    later = json.loads(SCHEMA_JSON)
    later["fields"].append({"name": "added", "type": ["null", "string"], "default": None})
    action = next(f["type"] for f in later["fields"] if f["name"] == "action")
    action["symbols"].append("ARCHIVE")
    out = io.BytesIO(b"\x00\x00\x00\x00\x09")
    out.seek(5)
    fields = {name: getattr(EVENT, name) for name in DicomChangeEvent.__dataclass_fields__}
    fastavro.schemaless_writer(
        out, fastavro.parse_schema(later), fields | {"action": "ARCHIVE", "state": "CURRENT", "added": "x"}
    )
    event = decode(out.getvalue(), schema_by_id={9: json.dumps(later)}.__getitem__)
    assert event.action is Action.UNKNOWN
    assert event.metadata == EVENT.metadata


def test_an_unknown_schema_is_never_decoded_with_a_known_one() -> None:
    value = bytearray(encode(EVENT))
    value[5] ^= 0xFF
    with pytest.raises(UnknownSchemaError, match="upgrade this reader"):
        decode(bytes(value))
    with pytest.raises(UnknownSchemaError, match="id 4"):
        decode(encode(EVENT, schema_id=4), schema_by_id={}.__getitem__)
    with pytest.raises(UnknownSchemaError, match="none is configured"):
        decode(encode(EVENT, schema_id=4))


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"\xc3\x01", b"\x00\x00", encode(EVENT)[:-3], encode(EVENT) + b"x"]
)
def test_bytes_that_are_no_event_are_named(value: bytes | None) -> None:
    with pytest.raises((MalformedRecordError, UnknownSchemaError)):
        decode(value)


@given(st.binary(max_size=200))
def test_damaged_bytes_raise_nothing_else(body: bytes) -> None:
    with contextlib.suppress(MalformedRecordError):
        decode(encode(EVENT)[:10] + body)


def test_key_is_the_trimmed_study_instance_uid() -> None:
    assert record_key(EVENT) == b"1.2.826.0.1.3680043.8.498.1"


@pytest.mark.parametrize(
    ("key", "murmur2"),  # org.apache.kafka.common.utils.UtilsTest
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partition_is_that_of_the_java_client(key: bytes, murmur2: int) -> None:
    assert partition_for(key, 12) == (murmur2 & 0x7FFFFFFF) % 12


def test_headers_are_cloud_events() -> None:
    assert event_headers(EVENT) == {
        "ce_specversion": "1.0",
        "ce_id": "main-pacs:1234567890123",
        "ce_source": "/dicomcast/feeds/main-pacs",
        "ce_type": "org.dicomcast.instance.create",
        "ce_time": "2023-05-03T10:58:00.123456Z",
        "ce_subject": "1.2.826.0.1.3680043.8.498.1.2.3",
        "content-type": "application/vnd.apache.avro",
    }
