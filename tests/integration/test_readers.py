"""Other teams' readers (examples/) read the topic of a real broker: Python, Java with and without registry, kcat."""

import ast
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from dicomcast_schemas import SCHEMA_JSON, Action, DicomChangeEvent, State, decode, encode
from dicomcast_schemas.topic import PARTITIONER, event_headers, partition_for, record_key

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TIMEOUT_S = 600  # Maven may have to download


def _event(sequence: int, action: Action = Action.CREATE) -> DicomChangeEvent:
    study = f"1.2.826.0.1.3680043.8.498.{sequence % 3}"
    return DicomChangeEvent(
        feed="main-pacs",
        sequence=sequence,
        partition_name=None,
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
        sop_instance_uid=f"{study}.1.{sequence}",
        action=action,
        state=State.CURRENT,
        timestamp=datetime(2024, 5, 3, 10, 58, sequence, 123456, UTC),
        file_path=None,
        metadata='{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Äßé^山"}]}}',
    )


EVENTS = [*(_event(n) for n in range(1, 6)), _event(6, Action.DELETE)]
ABORTED = _event(59)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic with EVENTS, and an aborted one before them."""

    bootstrap: str
    name: str


def _filled(bootstrap: str, *, schema_id: int | None) -> Topic:
    topic = Topic(bootstrap=bootstrap, name=f"changes-{uuid.uuid4()}")
    admin = AdminClient({"log_level": 0, "bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic.name, 3, 1)])[topic.name].result(60)
    producer = Producer(
        {
            "log_level": 0,
            "bootstrap.servers": bootstrap,
            "partitioner": PARTITIONER,
            "transactional.id": str(uuid.uuid4()),
        }
    )
    producer.init_transactions(60)
    for events, end in (([ABORTED], producer.abort_transaction), (EVENTS, producer.commit_transaction)):
        producer.begin_transaction()
        for event in events:
            headers: dict[str, str | bytes | None] = {**event_headers(event)}
            value = encode(event, schema_id=schema_id)
            producer.produce(topic.name, key=record_key(event), value=value, headers=headers)
        assert producer.flush(60) == 0
        end(60)
    return topic


@pytest.fixture(scope="module")
def plain(kafka: str) -> Topic:
    """Its records are in single-object encoding."""
    return _filled(kafka, schema_id=None)


def _run(*command: object, cwd: Path | None = None) -> str:
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _row(event: DicomChangeEvent) -> list[str]:
    return [f"main-pacs:{event.sequence}", event.action.value, event.study_instance_uid, event.sop_instance_uid]


def _rows(output: str) -> list[list[str]]:
    # Maven resets the terminal's colours before and after the program's own lines.
    lines = output.replace("\x1b[0m", "").splitlines()
    return sorted(line.split("\t") for line in lines if line)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed. Get it with: make services", pytrace=False)
    if found is None:
        pytest.skip(f"{name} is not installed. Get it with: make services")
    return found


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the example, built in a directory of its own."""
    maven, project = _program("mvn"), tmp_path_factory.mktemp("project")
    avsc = Path("schemas", "dicomcast_schemas", "dicom_change_event.avsc")
    shutil.copytree(EXAMPLES / "java", project / "examples" / "java", ignore=shutil.ignore_patterns("target"))
    (project / avsc).parent.mkdir(parents=True)
    shutil.copy(ROOT / avsc, project / avsc)
    command = [maven, "-B", "-q", "-f", str(project / "examples" / "java" / "pom.xml")]
    _run(*command, "compile")
    return [*command, "exec:java"]


def test_python_reads_the_events(plain: Topic) -> None:
    output = _run(sys.executable, EXAMPLES / "read_topic.py", plain.bootstrap, plain.name, uuid.uuid4(), len(EVENTS))
    assert sorted(line.split() for line in output.splitlines()) == sorted(map(_row, EVENTS))


def test_python_goes_on_where_its_group_stopped(plain: Topic) -> None:
    command = [sys.executable, EXAMPLES / "read_topic.py", plain.bootstrap, plain.name, uuid.uuid4()]
    output = _run(*command, 2) + _run(*command, len(EVENTS) - 2)
    assert sorted(line.split() for line in output.splitlines()) == sorted(map(_row, EVENTS))


def test_the_python_reader_needs_the_contract_and_a_kafka_client_alone() -> None:
    tree = ast.parse((EXAMPLES / "read_topic.py").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    others = {module.split(".")[0] for module in modules} - sys.stdlib_module_names
    assert others == {"confluent_kafka", "dicomcast_schemas"}
    assert len([line for line in ast.unparse(ast.Module(tree.body[1:], [])).splitlines() if line]) <= 15


@pytest.mark.slow
def test_java_reads_single_object_records(java: list[str], plain: Topic) -> None:
    arguments = f"{plain.bootstrap} {plain.name} {uuid.uuid4()} {len(EVENTS)}"
    output = _run(*java, f"-Dexec.args={arguments}")
    assert _rows(output) == sorted(map(_row, EVENTS))


@pytest.mark.slow
def test_java_reads_records_with_a_schema_id_of_the_registry(java: list[str], kafka: str, registry: str) -> None:
    subject = f"{registry}/subjects/readers-{uuid.uuid4()}-value/versions"
    answer = httpx.post(subject, json={"schema": SCHEMA_JSON}, timeout=60).raise_for_status()
    topic = _filled(kafka, schema_id=answer.json()["id"])
    output = _run(*java, f"-Dexec.args={topic.bootstrap} {topic.name} {uuid.uuid4()} {len(EVENTS)} {registry}")
    assert _rows(output) == sorted(map(_row, EVENTS))


def test_kcat_shows_key_and_headers(plain: Topic) -> None:
    _program("kcat")
    lines = [line.split("\t") for line in _run(EXAMPLES / "kcat.sh", plain.bootstrap, plain.name).splitlines()]
    shown = {(key, headers) for _, _, key, headers, _ in lines}
    expected = {
        (record_key(event).decode(), ",".join(f"{name}={text}" for name, text in event_headers(event).items()))
        for event in EVENTS
    }
    assert shown == expected
    assert {int(partition) for partition, *_ in lines} == {partition_for(record_key(event), 3) for event in EVENTS}


def test_kcat_gives_the_raw_value(plain: Topic) -> None:
    _program("kcat")
    partition = partition_for(record_key(EVENTS[0]), 3)
    command = [EXAMPLES / "kcat.sh", plain.bootstrap, plain.name, "-p", partition, "-c", "1", "-f", "%s"]
    raw = subprocess.run([str(part) for part in command], capture_output=True, timeout=TIMEOUT_S, check=True).stdout
    assert decode(raw) == EVENTS[0]
