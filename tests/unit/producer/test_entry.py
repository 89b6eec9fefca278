"""The change feed's JSON: any case, unknown fields, what cannot be read, and metadata byte for byte."""

from datetime import UTC, datetime

import pytest
from dicomcast_producer.entry import NO_TIME, FeedEntry, MalformedJsonError, parse_entry, parse_page
from dicomcast_schemas import Action, State

ENTRY = (
    '{"sequence":4,"partitionName":"Microsoft.Default","studyInstanceUid":"1.2","seriesInstanceUid":"1.2.1",'
    '"sopInstanceUid":"1.2.1.1","action":"Create","timestamp":"2023-05-03T10:58:00.1234567+02:00","state":"Current",'
    '"filePath":"a/b.dcm","somethingNew":[1],"metadata":{"00100020": {"vr":"LO","Value":["P"]}}}'
)


def only(text: str) -> FeedEntry:
    (entry,) = parse_page(f"[{text}]".encode(), feed="pacs")
    return entry


def test_every_field_is_taken_over() -> None:
    event = only(ENTRY).event
    assert (event.feed, event.sequence, event.partition_name) == ("pacs", 4, "Microsoft.Default")
    assert (event.study_instance_uid, event.series_instance_uid, event.sop_instance_uid) == ("1.2", "1.2.1", "1.2.1.1")
    assert (event.action, event.state, event.file_path) == (Action.CREATE, State.CURRENT, "a/b.dcm")
    assert event.timestamp == datetime(2023, 5, 3, 8, 58, 0, 123456, tzinfo=UTC)
    assert event.timestamp.tzinfo is UTC


def test_keys_in_pascal_case_as_older_servers_write_them() -> None:
    pascal = ENTRY
    for name in ("sequence", "partitionName", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "action"):
        pascal = pascal.replace(f'"{name}"', f'"{name[0].upper()}{name[1:]}"')
    pascal = pascal.replace('"timestamp"', '"Timestamp"').replace('"state"', '"STATE"').replace('"meta', '"Meta')
    pascal = pascal.replace('"filePath"', '"FilePath"')
    assert only(pascal) == only(ENTRY)


@pytest.mark.parametrize(
    ("text", "action"), [("Create", "CREATE"), ("update", "UPDATE"), ("DELETE", "DELETE"), ("Archive", "UNKNOWN")]
)
def test_actions_in_any_case_and_new_ones(text: str, action: str) -> None:
    event = only(ENTRY.replace('"Create"', f'"{text}"')).event
    assert event.action is Action(action)
    assert event.study_instance_uid == "1.2"


@pytest.mark.parametrize(
    ("text", "state"), [("current", "CURRENT"), ("Replaced", "REPLACED"), ("DELETED", "DELETED"), ("x", "UNKNOWN")]
)
def test_states_in_any_case_and_new_ones(text: str, state: str) -> None:
    assert only(ENTRY.replace('"Current"', f'"{text}"')).event.state is State(state)


def test_metadata_is_not_rewritten() -> None:
    exact = '{"00181151": {"vr":"DS","Value":[1.10, 1e400, 123456789012345678901234567890]},"00100010":{"é":"\\u00e9"}}'
    start = ENTRY[: ENTRY.index('{"0010')]
    assert only(f"{start}{exact}}}").event.metadata == exact


@pytest.mark.parametrize("value", ["null", "{}", "{ \n}"])
def test_no_metadata_is_none(value: str) -> None:
    start = ENTRY[: ENTRY.index('{"0010')]
    assert only(f"{start}{value}}}").event.metadata is None


@pytest.mark.parametrize("value", ['{"0010":{}}', '{ \t\r\n"0010":{}}', "[{}]", '"{}"', "3", "true", "[]"])
def test_metadata_is_an_object_or_the_entry_is_not_understood(value: str) -> None:
    start = ENTRY[: ENTRY.index('{"0010')]
    event = only(f"{start} {value} }}").event
    assert event.metadata == (value if value[0] == "{" else None)
    assert (event.action is Action.UNKNOWN) == (value[0] != "{")


@pytest.mark.parametrize(
    "broken",
    [
        ENTRY.replace('"1.2.1.1"', '""'),
        ENTRY.replace('"sopInstanceUid":"1.2.1.1",', ""),
        ENTRY.replace('"1.2.1"', "17"),
        ENTRY.replace("2023-05-03T10:58:00.1234567+02:00", "yesterday"),
        ENTRY.replace('"timestamp"', '"at"'),
        ENTRY.replace('"Current"', "3"),
        '{"sequence":4}',
    ],
)
def test_an_entry_that_cannot_be_understood_keeps_its_sequence(broken: str) -> None:
    event = only(broken).event
    assert (event.sequence, event.action, event.state, event.timestamp) == (4, Action.UNKNOWN, State.UNKNOWN, NO_TIME)
    assert event.study_instance_uid == ""


@pytest.mark.parametrize(
    "body", ["", "[", "{}", "<html>", "[1]", '[{"action":"Create"}]', '[{"sequence":"4"}]', "[\xff]"]
)
def test_what_is_no_page_is_refused(body: str) -> None:
    with pytest.raises(MalformedJsonError):
        parse_page(body.encode("latin-1"), feed="pacs")


@pytest.mark.parametrize("body", [b"", b" \n", b"null"])
def test_latest_of_an_empty_feed(body: bytes) -> None:
    assert parse_entry(body, feed="pacs") is None


def test_latest() -> None:
    assert parse_entry(ENTRY.encode(), feed="pacs") == only(ENTRY)
