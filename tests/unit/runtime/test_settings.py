"""Settings: environment over file, secrets from files, every problem in one error, no secret shown."""

from pathlib import Path

import pytest
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.settings import load_settings

ENV = {
    "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
    "DICOMCAST_FHIR__URL": "https://fhir.example.org/fhir",
    "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "https://dicom.example.org/v2",
    "DICOMCAST_FEED__NAME": "main",
    "DICOMCAST_FEED__URL": "https://dicom.example.org",
}


def error(**env: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(ConsumerSettings, environ=ENV | env)
    return str(raised.value)


def test_one_environment_serves_both_processes() -> None:
    assert load_settings(ConsumerSettings, environ=ENV).sources["main"].dicomweb_url == "https://dicom.example.org/v2"
    assert load_settings(ProducerSettings, environ=ENV).feed.name == "main"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "dicomcast.toml"
    config.write_text(
        '[fhir]\nurl = "https://other.example.org"\ntimeout_s = 5\n[feed]\nname = "main"\n'
        '[sources.second-pacs]\ndicomweb_url = "https://second.example.org"\n[kafka]\n"sasl.username" = "u"\n'
    )
    settings = load_settings(ConsumerSettings, config=config, environ=ENV)
    assert settings.fhir.url == "https://fhir.example.org/fhir"
    assert settings.fhir.timeout_s == 5
    assert set(settings.sources) == {"main", "second-pacs"}
    assert settings.kafka.root["sasl.username"] == "u"


def test_an_issuer_keeps_its_case_however_it_is_given() -> None:
    """In lower case it would be none that a data set names, and its patients would be searched for without a system."""
    env = {
        "DICOMCAST_MAPPING__PATIENT__ISSUERS__Hosp_A": "urn:oid:1.2.3",
        "DICOMCAST_MAPPING__PATIENT__ISSUERS": '{"HOSPITAL B": "urn:oid:1.2.4"}',
        "DICOMCAST_MAPPING__ACCESSION__ISSUERS__RIS": "urn:oid:1.2.5",
    }
    mapping = load_settings(ConsumerSettings, environ=ENV | env).mapping
    assert mapping.patient.issuers == {"Hosp_A": "urn:oid:1.2.3", "HOSPITAL B": "urn:oid:1.2.4"}
    assert mapping.accession.issuers == {"RIS": "urn:oid:1.2.5"}


@pytest.mark.parametrize("name", ["PATIENT_SYSTEM", "ACCESSION_SYSTEM", "TIMEZONE"])
def test_what_the_mapping_would_refuse_of_a_source_is_named(name: str) -> None:
    assert f"DICOMCAST_SOURCES__MAIN__{name}: " in error(**{f"DICOMCAST_SOURCES__MAIN__{name}": "hospital a"})


def test_unknown_names_are_refused_at_every_level() -> None:
    text = error(DICOMCAST_BOGUS="1", DICOMCAST_FHIR__BOGUS="1", DICOMCAST_MAPPING__PATIENT__BOGUS="1")
    for name in ("DICOMCAST_BOGUS", "DICOMCAST_FHIR__BOGUS", "DICOMCAST_MAPPING__PATIENT__BOGUS"):
        assert name in text


def test_an_unknown_section_of_the_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "dicomcast.toml"
    config.write_text("[bogus]\nx = 1\n")
    with pytest.raises(ConfigurationError, match=r"\[bogus\]"):
        load_settings(ConsumerSettings, config=config, environ=ENV)


@pytest.mark.parametrize("text", ["not toml", "[fhir"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    config = tmp_path / "dicomcast.toml"
    config.write_text(text)
    with pytest.raises(ConfigurationError, match=r"dicomcast\.toml: not TOML"):
        load_settings(ConsumerSettings, config=config, environ=ENV)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(ConsumerSettings, environ={"DICOMCAST_TOPIC__PARTITIONS": "many", "DICOMCAST_NO": "1"})
    for name in (
        "TOPIC__PARTITIONS",
        "DICOMCAST_NO",
        "KAFKA__BOOTSTRAP_SERVERS",
        "FHIR__URL",
        "SOURCES__<NAME>__DICOMWEB_URL",
    ):
        assert name in str(raised.value)


@pytest.mark.parametrize("name", ["GROUP_ID", "ENABLE_AUTO_COMMIT", "ISOLATION_LEVEL", "PARTITIONER", "ACKS"])
def test_what_would_break_a_guarantee_is_refused_with_the_reason(name: str) -> None:
    text = error(**{f"DICOMCAST_KAFKA__{name}": "x"})
    assert f"{name.lower().replace('_', '.')} is not yours to set: " in text


def test_the_assignment_is_cooperative() -> None:
    text = error(DICOMCAST_KAFKA__PARTITION_ASSIGNMENT_STRATEGY="range")
    assert "partition.assignment.strategy can only be cooperative-sticky" in text
    env = ENV | {"DICOMCAST_KAFKA__PARTITION_ASSIGNMENT_STRATEGY": "cooperative-sticky"}
    load_settings(ConsumerSettings, environ=env)


def test_any_other_librdkafka_property_passes_through() -> None:
    env = ENV | {"DICOMCAST_KAFKA__SSL_CA_LOCATION": "/ca.pem", "DICOMCAST_KAFKA__LOG_LEVEL": "6"}
    kafka = load_settings(ConsumerSettings, environ=env).kafka
    assert kafka.root["ssl.ca.location"] == "/ca.pem"
    assert kafka.client(group_id="g")["group.id"] == "g"
    assert kafka.client()["log_level"] == "6"


def test_a_secret_may_stand_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    env = ENV | {
        "DICOMCAST_KAFKA__SASL_PASSWORD_FILE": str(secret),
        "DICOMCAST_FHIR__AUTH__KIND": "basic",
        "DICOMCAST_FHIR__AUTH__USERNAME": "u",
        "DICOMCAST_FHIR__AUTH__PASSWORD_FILE": str(secret),
    }
    settings = load_settings(ConsumerSettings, environ=env)
    assert settings.kafka.root["sasl.password"] == "s3cret"
    assert settings.fhir.auth.password is not None
    assert settings.fhir.auth.password.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{settings!r}{settings}"


def test_a_secret_file_that_is_missing_or_given_twice_is_named(tmp_path: Path) -> None:
    assert "DICOMCAST_KAFKA__SASL_PASSWORD_FILE" in error(DICOMCAST_KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "none"))
    (tmp_path / "x").write_text("x")
    both = error(DICOMCAST_KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "x"), DICOMCAST_KAFKA__SASL_PASSWORD="do-not-show")
    assert "keep one" in both
    assert "do-not-show" not in both


def test_an_error_does_not_repeat_the_value() -> None:
    assert "hunter2" not in error(DICOMCAST_FHIR__URL="https://u:hunter2@fhir.example.org")


@pytest.mark.parametrize("url", ["fhir.example.org", "ftp://fhir.example.org", "https://"])
def test_a_url_must_be_one(url: str) -> None:
    assert "DICOMCAST_FHIR" in error(DICOMCAST_FHIR__URL=url)


def test_a_kind_of_authentication_says_what_it_needs() -> None:
    assert "token_url, client_id, client_secret" in error(DICOMCAST_FHIR__AUTH__KIND="oauth2")


@pytest.mark.parametrize(
    ("name", "section", "known"),
    [
        ("FHIR__ULR", "FHIR", "AUTH__…, CA_FILE"),
        ("SOURCES__MAIN__URL", "SOURCES__MAIN", "DICOMWEB_URL"),
        ("MAPPING__PATIENT__SYSTM", "MAPPING__PATIENT", "SYSTEM"),
    ],
)
def test_an_unknown_setting_is_told_with_those_of_its_section(name: str, section: str, known: str) -> None:
    text = error(**{f"DICOMCAST_{name}": "x"})
    assert f"DICOMCAST_{name}: there is no such setting (DICOMCAST_{section} has: " in text
    assert known in text


def test_what_has_not_its_form_is_told_with_what_the_setting_is() -> None:
    assert "DICOMCAST_HTTP__LISTEN: must match ^(off|" in error(DICOMCAST_HTTP__LISTEN="9580")
    assert "`host:port` of /livez" in error(DICOMCAST_HTTP__LISTEN="9580")
