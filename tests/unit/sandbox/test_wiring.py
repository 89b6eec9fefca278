"""What producer and consumer are told."""

import os

import pytest
from dicomcast_runtime.settings import load_settings
from dicomcast_sandbox.demo.wiring import DemoOptions, DemoPeers, Wiring


@pytest.fixture(autouse=True)
def _a_persons_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DICOMCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DICOMCAST_TOPIC__NAME", "in.earnest")
    monkeypatch.setenv("DICOMCAST_KAFKA__SASL_PASSWORD", "kafka-secret")
    monkeypatch.setenv("DICOMCAST_FHIR__AUTH__KIND", "bearer")
    monkeypatch.setenv("DICOMCAST_FHIR__AUTH__TOKEN", "fhir-secret")
    monkeypatch.setenv("DICOMCAST_FEED__AUTH__KIND", "basic")
    monkeypatch.setenv("DICOMCAST_FEED__AUTH__USERNAME", "who")
    monkeypatch.setenv("DICOMCAST_FEED__AUTH__PASSWORD", "dicom-secret")


def _wiring(**options: str) -> Wiring:
    return Wiring(
        run="run1",
        options=DemoOptions(**options),  # type: ignore[arg-type]  # only addresses are given here
        bootstrap_servers="127.0.0.1:1",
        fhir_url="http://127.0.0.1:2/fhir",
        dicomweb_url="http://127.0.0.1:3/dicom-web",
        change_feed_url="http://127.0.0.1:3",
    )


def test_a_stand_in_gets_nothing_of_the_settings_for_the_real_one() -> None:
    env = _wiring().consumer_env()
    assert not [name for name, value in env.items() if "secret" in value]
    assert env["DICOMCAST_TOPIC__NAME"] == "dicom.changes.v1"
    assert env["DICOMCAST_KAFKA__GROUP_PROTOCOL"] == "consumer"
    assert load_settings(DemoPeers, environ=env).fhir.auth.kind == "none"


def test_a_real_server_gets_its_own_settings() -> None:
    env = _wiring(fhir_url="http://127.0.0.1:2/fhir").producer_env()
    peers = load_settings(DemoPeers, environ=env)
    assert (peers.fhir.auth.kind, peers.feed.auth.kind) == ("bearer", "none")
    assert "DICOMCAST_KAFKA__SASL_PASSWORD" not in env


def test_the_consumer_authenticates_to_the_dicom_server_as_the_producer_does() -> None:
    env = _wiring(dicomweb_url="http://127.0.0.1:3/dicom-web").consumer_env()
    assert env["DICOMCAST_FEED__AUTH__PASSWORD"] == "dicom-secret"
    assert env["DICOMCAST_SOURCES__DEMO__AUTH__PASSWORD"] == "dicom-secret"
    assert env["DICOMCAST_SOURCES__DEMO__AUTH__KIND"] == "basic"


def test_what_a_real_dicom_server_already_holds_is_left_alone() -> None:
    assert "DICOMCAST_FEED__START" not in _wiring().producer_env()
    assert _wiring(dicomweb_url="http://127.0.0.1:3/x").producer_env()["DICOMCAST_FEED__START"] == "now"


def test_a_real_kafka_gets_topics_and_a_group_of_this_run() -> None:
    wiring = _wiring(bootstrap_servers="127.0.0.1:1")
    assert "run1" in wiring.topic
    assert "run1" in wiring.group
    env = wiring.consumer_env()
    assert env["DICOMCAST_KAFKA__SASL_PASSWORD"] == "kafka-secret"
    assert "DICOMCAST_PRODUCER__VERIFY_TOPICS" not in env
    assert "DICOMCAST_KAFKA__GROUP_PROTOCOL" not in env


def test_what_is_written_to_the_env_file_holds_no_secret() -> None:
    wiring = _wiring(bootstrap_servers="a:1", fhir_url="http://b", dicomweb_url="http://c/x")
    assert "secret" not in str({**wiring.variables(), **wiring.variables_of_consumer()})
