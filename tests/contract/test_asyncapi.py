"""schemas/asyncapi.yaml says what the code does: topics, keys, headers, framings, cursor."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dicomcast_consumer.dlq import read_letter
from dicomcast_consumer.dlq_done import Outcome, mark_key, mark_value
from dicomcast_producer.cursor import CURSOR_KEY, Cursor, Identity, cursor_json
from dicomcast_producer.position import LastEntry, Position
from dicomcast_producer.topics import wanted_topics
from dicomcast_runtime.kafka_settings import TopicSettings
from dicomcast_schemas import FINGERPRINT, Action, DicomChangeEvent, State, encode
from dicomcast_schemas import topic as contract

from tests.fakes.events import create, record
from tests.fakes.letter_replay import letter_of

SCHEMAS = Path(__file__).parents[2] / "schemas"
ASYNCAPI: Any = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text())
NOW = datetime(2024, 5, 3, 10, 58, tzinfo=UTC)
EVENT = DicomChangeEvent(
    feed="main-pacs",
    sequence=42,
    partition_name=None,
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.4",
    sop_instance_uid="1.2.3.4.5",
    action=Action.CREATE,
    state=State.CURRENT,
    timestamp=NOW,
    file_path=None,
    metadata=None,
)


def _follow(node: Any) -> Any:
    """The node, or what its local reference names."""
    while isinstance(node, dict) and str(node.get("$ref", "")).startswith("#/"):
        target: Any = ASYNCAPI
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


def _message(name: str) -> Any:
    return ASYNCAPI["components"]["messages"][name]


def _headers(name: str) -> Any:
    return ASYNCAPI["components"]["schemas"][name]


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(ASYNCAPI):
        assert _follow({"$ref": reference}) if reference.startswith("#/") else (SCHEMAS / reference).is_file()


def test_the_topics_are_those_that_topics_apply_makes() -> None:
    wanted = wanted_topics(TopicSettings(), groups=["{group}"], letter_partitions=TopicSettings().partitions)
    documented = {channel["address"]: channel["bindings"]["kafka"] for channel in ASYNCAPI["channels"].values()}
    assert set(documented) == {topic.name for topic in wanted}
    for topic in wanted:
        binding = documented[topic.name]
        assert binding["partitions"] == topic.partitions
        assert {name: _config(value) for name, value in binding["topicConfiguration"].items()} == dict(topic.config)
        assert binding.get("topic", topic.name) == topic.name


def _config(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def test_the_channels_are_the_topics_of_the_contract() -> None:
    channels = ASYNCAPI["channels"]
    assert channels["changes"]["address"] == contract.DEFAULT_TOPIC
    assert channels["cursor"]["address"] == contract.cursor_topic(contract.DEFAULT_TOPIC)
    assert channels["deadLetters"]["address"] == contract.dead_letter_topic(contract.DEFAULT_TOPIC, "{group}")
    assert channels["doneLetters"]["address"] == contract.done_topic(contract.DEFAULT_TOPIC, "{group}")
    assert contract.PARTITIONER in ASYNCAPI["info"]["description"]


def test_an_events_headers_are_documented() -> None:
    schema = _headers("changeHeaders")
    sent = contract.event_headers(EVENT)
    assert schema["required"] == list(sent)
    assert set(schema["properties"]) == {*sent, contract.METADATA}
    reasons = schema["properties"][contract.METADATA]["enum"]
    assert set(reasons) == {contract.METADATA_TOO_LARGE, contract.METADATA_UNREADABLE}


@pytest.mark.parametrize("action", list(Action))
def test_an_events_headers_have_the_documented_form(action: Action) -> None:
    properties = _headers("changeHeaders")["properties"]
    for name, text in contract.event_headers(replace(EVENT, action=action)).items():
        rule = properties[name]
        assert text == rule.get("const", text)
        assert text in rule.get("enum", [text])
        assert re.search(rule.get("pattern", ""), text), name


def test_the_types_are_the_actions() -> None:
    types = _headers("changeHeaders")["properties"][contract.CE_TYPE]["enum"]
    sent = {contract.event_headers(replace(EVENT, action=action))[contract.CE_TYPE] for action in Action}
    assert set(types) == sent


def test_a_dead_letters_headers_are_documented() -> None:
    schema = _headers("deadLetterHeaders")
    assert set(schema["properties"]) == set(contract.DeadLetterHeader.ALL)
    assert set(schema["required"]) == set(contract.DeadLetterHeader.ALL) - {contract.DeadLetterHeader.HTTP_STATUS}


def test_the_payload_is_the_released_schema() -> None:
    for name in ("changeSingleObject", "changeConfluent", "deadLetter"):
        path = SCHEMAS / _message(name)["payload"]["schema"]["$ref"]
        assert json.loads(path.read_text())["name"] == DicomChangeEvent.__name__ == "DicomChangeEvent"
    assert _message("changeConfluent")["name"] == "DicomChangeEvent"


def test_the_framings_are_those_of_encode() -> None:
    single, confluent = (_message(name)["x-framing"] for name in ("changeSingleObject", "changeConfluent"))
    assert encode(EVENT).hex().startswith(single["prefix"] + single["fingerprint"])
    assert single["fingerprint"] == FINGERPRINT.hex()
    assert encode(EVENT, schema_id=7).hex().startswith(confluent["prefix"] + "00000007")
    binding = _message("changeConfluent")["bindings"]["kafka"]
    assert (binding["schemaIdLocation"], binding["schemaLookupStrategy"]) == ("payload", "TopicNameStrategy")


@pytest.mark.parametrize("read_to", [None, NOW])
def test_the_cursor_is_documented(read_to: datetime | None) -> None:
    identity = Identity(feed="main-pacs", url="http://pacs", api_version="v1", partitions=12, topic_id=None)
    last = LastEntry(sequence=42, timestamp=NOW, action=Action.CREATE, sop_instance_uid="1.2")
    position = Position(sequence=42, read_to=read_to, sent=((1, 2),), last=last)
    written = json.loads(cursor_json(Cursor(identity=identity, position=position, instance="i")))
    schema = _headers("cursor")
    assert set(schema["required"]) == set(written) - {"read_to", "sent_from", "sent"}
    assert set(schema["properties"]) >= set(written)
    assert set(schema["properties"]["last"]["properties"]) == set(written["last"])
    assert written["version"] == schema["properties"]["version"]["const"]
    assert _message("cursor")["bindings"]["kafka"]["key"]["const"] == CURSOR_KEY.decode()


def test_a_done_letter_has_the_documented_form() -> None:
    letter = read_letter(letter_of(record(create(9, "1.2", "1.2.3"), offset=41), code="map.defect", offset=7))
    assert letter.id is not None
    assert re.fullmatch(_headers("letterKey")["pattern"], mark_key(letter.id).decode())
    schema = _headers("doneLetter")
    for outcome in Outcome:
        document = json.loads(mark_value(letter, outcome, EVENT.timestamp))
        assert list(document) == schema["required"]
        assert document["outcome"] in schema["properties"]["outcome"]["enum"]
    assert len(Outcome) == len(schema["properties"]["outcome"]["enum"])
