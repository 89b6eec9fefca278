"""`doctor` of the producer against stand-ins: what it finds of the feed; it only reads, and shows no secret."""

import functools
import json
from collections.abc import Iterator

import pytest
from dicomcast_producer.__main__ import app
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_look import KafkaLook
from dicomcast_runtime.registry import Subject
from dicomcast_runtime.registry_look import for_reading, for_registering
from dicomcast_sandbox.dicom import Basic
from dicomcast_schemas.topic import DEFAULT_TOPIC, cursor_topic
from typer.testing import CliRunner

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.mock_kafka import mock_kafka
from tests.unit.producer.feeds import fill


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock cluster answers some requests never."""
    monkeypatch.setattr("dicomcast_producer.doctor_kafka.KafkaLook", functools.partial(KafkaLook, timeout_s=1.0))


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with mock_kafka() as kafka:
        kafka.create_topic(DEFAULT_TOPIC, 4)
        kafka.create_topic(cursor_topic(DEFAULT_TOPIC), 1)
        yield kafka.bootstrap


@pytest.fixture
def env(bootstrap: str, dicom: DicomServer) -> dict[str, str]:
    return {
        "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "DICOMCAST_FEED__NAME": "main",
        "DICOMCAST_FEED__URL": dicom.base_url,
        "DICOMCAST_PRODUCER__VERIFY_TOPICS": "false",
    }


@pytest.fixture
def dicom() -> Iterator[DicomServer]:
    with dicom_server() as server:
        yield server


def found(env: dict[str, str], *, code: int, **changes: str) -> dict[str, str]:
    """What each check says, by name: `verdict: text`."""
    own = env | {f"DICOMCAST_{name}": value for name, value in changes.items()}
    result = CliRunner().invoke(app, ["doctor", "--json"], env=own)
    document = json.loads(result.stdout)
    assert (result.exit_code, document["exit_code"]) == (code, code), result.stdout
    return {check["name"]: f"{check['verdict']}: {check['text']}" for check in document["checks"]}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_all_is_well_and_nothing_was_written(env: dict[str, str], dicom: DicomServer, version: str) -> None:
    dicom.store.skip_sequences(5)
    fill(dicom.store, range(1, 4))
    checks = found(env, code=0, FEED__API_VERSION=version)
    assert {name for name, said in checks.items() if not said.startswith("ok")} == {
        *("topics.settings", "transactions", "registry", "feed.identity", "kafka.clock")
    }
    assert "latest sequence is 8" in checks["feed"]
    assert "(1 entry)" in checks["feed.page"]
    assert "gives the newest instance's metadata" in checks["feed.dicomweb"]
    assert {one.method for one in dicom.journal.entries} == {"GET"}


def test_an_empty_feed_is_no_failure(env: dict[str, str]) -> None:
    checks = found(env, code=0)
    assert checks["feed.page"] == "skipped: the feed is empty"
    assert checks["cursor"].startswith("ok: none yet: `run` begins at beginning")


@pytest.mark.parametrize(
    ("status", "says", "code"),
    [
        (401, "check DICOMCAST_FEED__AUTH__*", 64),
        (403, "give the account the right to read", 64),
        (404, "check DICOMCAST_FEED__URL (the base before /v1)", 64),
        (503, "look into its log", 69),
    ],
)
def test_a_feed_that_refuses(env: dict[str, str], dicom: DicomServer, status: int, says: str, code: int) -> None:
    dicom.faults.answer(status, times=10)
    checks = found(env, code=code)
    assert checks["feed"].startswith("FAILED")
    assert says in checks["feed"]
    assert checks["feed.clock"] == "skipped: it needs feed"


def test_a_feed_that_is_away(env: dict[str, str]) -> None:
    checks = found(env, code=69, FEED__URL="http://127.0.0.1:9")
    assert "start it" in checks["feed"]
    assert "correct DICOMCAST_FEED__URL" in checks["feed"]


def test_no_secret_is_shown(env: dict[str, str]) -> None:
    with dicom_server(access=Basic("us", "right-hush")) as closed:
        own = env | {"DICOMCAST_FEED__URL": closed.base_url, "DICOMCAST_FEED__AUTH__KIND": "basic"}
        own["DICOMCAST_FEED__AUTH__USERNAME"] = "us"
        for password, code in (("wrong-hush", 64), ("right-hush", 0)):
            assert "hush" not in json.dumps(found(own, code=code, FEED__AUTH__PASSWORD=password))


def test_an_entry_that_is_broken_is_a_warning(env: dict[str, str], dicom: DicomServer) -> None:
    fill(dicom.store, [1])
    dicom.faults.answer(500, times=10, query_part="includeMetadata=true")
    assert "`run` reads around it" in found(env, code=0)["feed.page"]


def test_a_dicomweb_root_that_is_none_is_a_warning(env: dict[str, str], dicom: DicomServer) -> None:
    fill(dicom.store, [1])
    checks = found(env, code=0, FEED__DICOMWEB_URL=f"{dicom.base_url}/nowhere")
    assert checks["feed.dicomweb"].startswith("warning")
    assert "check DICOMCAST_FEED__DICOMWEB_URL" in checks["feed.dicomweb"]


def subject(**changes: object) -> Subject:
    plain = {"name": "t-value", "schema_id": 7, "level": "FULL_TRANSITIVE", "refusal": None}
    return Subject(**{**plain, **changes})  # type: ignore[arg-type]


def test_what_a_registrys_subject_means_to_the_producer_and_to_the_consumer() -> None:
    assert for_registering(subject()).doubts == ()
    assert "BACKWARD, not FULL_TRANSITIVE" in for_registering(subject(level="BACKWARD")).doubts[0]
    assert "the registry's own default" in for_registering(subject(level=None)).doubts[0]
    assert "can be registered" in for_registering(subject(schema_id=None)).text
    with pytest.raises(BrokenContractError, match="not compatible"):
        for_registering(subject(schema_id=None, refusal="not compatible"))
    assert "has not this release's schema" in for_reading(subject(schema_id=None, refusal="not compatible")).text
