"""`doctor` of the consumer against stand-ins: what it finds, that it only reads, that it shows no secret."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from dicomcast_consumer.doctor.group_state import offsets_text
from dicomcast_consumer.group_admin import LogEnds
from dicomcast_consumer.topics import require_same_count
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_look import KafkaLook
from dicomcast_sandbox.dicom import Basic
from dicomcast_schemas.topic import DEFAULT_TOPIC, dead_letter_topic, done_topic

from tests.fakes.dicom_server import DicomServer
from tests.fakes.fhir_server import RunningFhirServer, fhir_server
from tests.fakes.mock_kafka import mock_kafka
from tests.unit.consumer.test_cli import Run, run

__all__ = ["run"]

GROUP = "dicomcast-consumer"
LETTERS = dead_letter_topic(DEFAULT_TOPIC, GROUP)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock cluster answers some requests never."""
    monkeypatch.setattr("dicomcast_consumer.doctor.kafka.KafkaLook", functools.partial(KafkaLook, timeout_s=1.0))
    monkeypatch.setattr("dicomcast_runtime.kafka_look._CONFIG_S", 0.5)


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with mock_kafka() as kafka:
        for topic, partitions in ((DEFAULT_TOPIC, 4), (LETTERS, 4), (done_topic(DEFAULT_TOPIC, GROUP), 1)):
            kafka.create_topic(topic, partitions)
        yield kafka.bootstrap


@pytest.fixture
def env(bootstrap: str, fhir: RunningFhirServer, dicom: DicomServer) -> dict[str, str]:
    return {
        "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "DICOMCAST_FHIR__URL": fhir.base_url,
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
        "DICOMCAST_MAPPING__PATIENT__SYSTEM": "urn:x:mrn",
    }


def found(run: Run, env: dict[str, str], *, code: int, **changes: str) -> dict[str, Any]:
    """What each check says, by name: `verdict: text`."""
    result = run("doctor", "--json", env={**env, **{f"DICOMCAST_{name}": value for name, value in changes.items()}})
    document = json.loads(result.out)
    assert (result.code, document["exit_code"], document["ok"]) == (code, code, code == 0), result.out
    return {check["name"]: f"{check['verdict']}: {check['text']}" for check in document["checks"]}


def test_all_is_well_and_nothing_was_written(
    run: Run, env: dict[str, str], fhir: RunningFhirServer, dicom: DicomServer
) -> None:
    checks = found(run, env, code=0)
    assert [name for name, text in checks.items() if not text.startswith(("ok", "skipped"))] == []
    asked = {(one.method, one.path.rpartition("/")[2]) for one in fhir.journal.entries}
    assert asked == {("GET", "metadata"), ("POST", "_search"), ("POST", "fhir")}
    pages = [httpx.get(f"{fhir.base_url}/{kind}").json() for kind in ("Patient", "Endpoint", "ImagingStudy")]
    assert [page.get("entry", []) for page in pages] == [[], [], []]
    assert {one.method for one in dicom.journal.entries} == {"GET"}


def test_one_line_for_each_check(run: Run, env: dict[str, str]) -> None:
    result = run("doctor", env=env)
    lines = result.out.splitlines()
    assert result.code == 0
    assert all(line.startswith(("ok:      ", "skipped: ")) for line in lines[:-1])
    assert lines[-1] == f"checks: {len(lines) - 4} ok, 3 skipped"
    assert result.err == ""


def test_a_fhir_server_that_does_not_know_us(run: Run, env: dict[str, str]) -> None:
    with fhir_server(access=Basic("us", "right-hush")) as closed:
        own = env | {"DICOMCAST_FHIR__URL": closed.base_url, "DICOMCAST_FHIR__AUTH__KIND": "basic"}
        own |= {"DICOMCAST_FHIR__AUTH__USERNAME": "us", "DICOMCAST_FHIR__AUTH__PASSWORD": "wrong-hush"}
        checks = found(run, own, code=64)
        assert checks["fhir"].startswith("FAILED: FHIR answered 401")
        assert "check DICOMCAST_FHIR__AUTH__*" in checks["fhir"]
        assert checks["fhir.search"] == "skipped: it needs fhir"
        assert checks["source.main"].startswith("ok")
        assert "hush" not in json.dumps(checks)
        own["DICOMCAST_FHIR__AUTH__PASSWORD"] = "right-hush"
        assert "hush" not in json.dumps(found(run, own, code=0))


def test_a_capability_statement_that_is_open_hides_no_refusal(
    run: Run, env: dict[str, str], fhir: RunningFhirServer
) -> None:
    fhir.faults.answer(401, times=None, when=lambda seen: seen.method == "POST")
    checks = found(run, env, code=64)
    assert checks["fhir"].startswith("ok")
    for name in ("fhir.transaction", "fhir.search"):
        assert checks[name].startswith("FAILED: FHIR answered 401")


def test_a_fhir_server_that_is_away(run: Run, env: dict[str, str]) -> None:
    checks = found(run, env, code=69, FHIR__URL="http://127.0.0.1:9/fhir")
    assert "start it" in checks["fhir"]
    assert "DICOMCAST_FHIR__URL" in checks["fhir"]


def test_a_fhir_server_that_ignores_the_identifier(run: Run, env: dict[str, str], fhir: RunningFhirServer) -> None:
    someone = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe"}]}
    page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": someone}]}
    fhir.faults.answer(
        200, times=None, when=lambda seen: seen.path.endswith("Patient/_search"), body=orjson.dumps(page)
    )
    checks = found(run, env, code=64)
    assert "does not know the search parameter `identifier`" in checks["fhir.search"]
    assert "Doe" not in json.dumps(checks)


def test_a_server_that_takes_no_transaction_of_reads_is_a_warning(
    run: Run, env: dict[str, str], fhir: RunningFhirServer
) -> None:
    fhir.faults.answer(400, times=None, when=lambda seen: seen.path.endswith("/fhir"))
    assert found(run, env, code=0)["fhir.transaction"].startswith("warning: one that only reads is refused")


@pytest.mark.parametrize(("status", "says", "code"), [
    (401, "DICOMCAST_SOURCES__MAIN__AUTH__*", 64),
    (403, "the right to read", 64),
    (404, "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL, the DICOMweb root before /studies", 64),
    (503, "look into the server's log", 69),
])  # fmt: skip
def test_a_dicom_server_that_refuses(
    run: Run, env: dict[str, str], dicom: DicomServer, status: int, says: str, code: int
) -> None:
    dicom.faults.answer(status, times=10)
    checks = found(run, env, code=code)
    assert checks["source.main"].startswith("FAILED")
    assert says in checks["source.main"]
    assert checks["source.main.clock"] == "skipped: it needs source.main"


def test_a_dicom_server_that_answers_404_when_nothing_matches(
    run: Run, env: dict[str, str], dicom: DicomServer
) -> None:
    dicom.faults.answer(404, times=1, query_part="2.25.0")
    assert found(run, env, code=0)["source.main"].startswith("ok")


def test_settings_that_are_wrong_are_the_one_check(run: Run, env: dict[str, str]) -> None:
    checks = found(run, env, code=64, FHIR__TIMEOUT_S="soon", FHIR__AUTH__PASSWORD="hush")
    assert list(checks) == ["settings"]
    assert "DICOMCAST_FHIR__TIMEOUT_S" in checks["settings"]
    assert "hush" not in checks["settings"]


def test_patient_ids_without_a_system_are_a_warning(run: Run, env: dict[str, str]) -> None:
    del env["DICOMCAST_MAPPING__PATIENT__SYSTEM"]
    assert found(run, env, code=0)["settings"].startswith("warning: PatientIDs of main have no system")


def test_a_property_that_librdkafka_does_not_know(run: Run, env: dict[str, str]) -> None:
    checks = found(run, env, code=64, KAFKA__NO_SUCH_THING="1")
    assert "no.such.thing" in checks["kafka"]
    assert checks["fhir"].startswith("ok")


def test_the_groups_offsets() -> None:
    log = {0: LogEnds(begin=5, end=9), 1: LogEnds(begin=0, end=0)}
    assert offsets_text("t", {0: None, 1: None}, log, start="latest").startswith(
        "no offsets yet: it begins at the latest"
    )
    assert offsets_text("t", {0: 5, 1: None}, log, start="latest") == "lag 4"
    assert offsets_text("t", {0: 9, 1: 0}, log, start="latest") == "lag 0"
    for gone in (4, 10):
        with pytest.raises(BrokenContractError, match=r"t\[0\] is not in the topic any more.*replay plan"):
            offsets_text("t", {0: gone, 1: 0}, log, start="latest")


def test_another_partition_count_says_which_way_out() -> None:
    require_same_count(("t", 4), ("d", 4))
    with pytest.raises(BrokenContractError, match=r"kafka-topics --alter --topic d --partitions 6"):
        require_same_count(("t", 6), ("d", 4))
    with pytest.raises(BrokenContractError, match=r"delete d and let `dicomcast-producer topics apply`"):
        require_same_count(("t", 4), ("d", 6))
