"""docs/security.md: its threats name tests that exist, its examples say what they mean, its limits are the code's."""

import importlib
import re
from pathlib import Path

import pytest
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.settings import load_settings

from tests.documents.tests_named import missing, named_tests
from tests.integration.security.document import settings_example
from tests.settings_reference import reference

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def section(title: str) -> list[list[str]]:
    """The cells of the rows of a section's table."""
    body = TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line[:2] == "| "]
    return [row for row in rows[1:] if not row[0].startswith("---")]


THREATS, LIMITS = section("Threats"), section("Limits")


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[1][:50])
def test_each_threat_names_tests_that_exist(row: list[str]) -> None:
    asset, threat, prevented, tests = row
    assert asset
    assert threat
    assert prevented
    found = named_tests(tests)
    assert found
    assert [text for one in found if (text := missing(one, ROOT / "docs"))] == []


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[1])
def test_each_limit_is_that_of_the_code(row: list[str]) -> None:
    _, where, value, beyond = row
    assert beyond
    name = where.strip("`")
    if name.startswith("DICOMCAST_"):
        (found,) = re.findall(rf"^\| `{re.escape(name)}` \| `([^`]*)` \|", reference(), re.MULTILINE)
    else:
        module, constant = name.split(":")
        found = getattr(importlib.import_module(module), constant)
    assert float(found) == float(value)


def test_every_bound_that_can_be_set_is_in_the_table() -> None:
    names = re.findall(r"^\| `(DICOMCAST_\w+__(?:<NAME>__)?(?:MAX_\w+|TIMEOUT_S))` \| `\d", reference(), re.MULTILINE)
    listed = {row[1].strip("`") for row in LIMITS}
    of_bundles = {"DICOMCAST_CONSUMER__MAX_STUDIES_PER_BUNDLE", "DICOMCAST_CONSUMER__MAX_INSTANCES_PER_BUNDLE"}
    assert len(names) > 8
    assert set(names) - listed - of_bundles == set()


def example(name: str, folder: Path) -> dict[str, str]:
    """The block's environment, each secret in a file that says what it is called."""
    env = settings_example(name)
    for setting, value in env.items():
        if setting.endswith("_FILE") and value.startswith("/run/secrets/") and "CLIENT_KEY_FILE" not in setting:
            file = folder / Path(value).name
            file.write_text(f"{file.name}\n")
            env[setting] = str(file)
    return env


def both(name: str, folder: Path) -> tuple[ProducerSettings, ConsumerSettings]:
    """What both processes make of it, with the rest that they need."""
    rest = {
        "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
        "DICOMCAST_FEED__NAME": "main",
        "DICOMCAST_FEED__URL": "https://dicom.example.org",
        "DICOMCAST_FHIR__URL": "https://fhir.example.org/fhir",
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "https://dicom.example.org/v2",
    }
    env = {**rest, **example(name, folder)}
    return load_settings(ProducerSettings, environ=env), load_settings(ConsumerSettings, environ=env)


KAFKA = {
    "tls": {"security.protocol": "SSL", "ssl.ca.location": "/etc/dicomcast/kafka-ca.pem"},
    "mutual": {"security.protocol": "SSL", "ssl.key.password": "client-key-password"},
    "scram": {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.password": "kafka-password"},
    "oauth": {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.secret": "kafka-client-secret",
    },
}


@pytest.mark.parametrize("way", KAFKA)
def test_ways_to_sign_in_to_kafka(way: str, tmp_path: Path) -> None:
    for settings in both(f"kafka: {way}", tmp_path):
        assert KAFKA[way].items() <= settings.kafka.client().items()


def test_oauth2_and_a_private_ca_at_the_fhir_server(tmp_path: Path) -> None:
    _, consumer = both("fhir: oauth2", tmp_path)
    auth = consumer.fhir.auth
    assert (auth.kind, auth.token_url, auth.client_id) == ("oauth2", "https://login.example.org/token", "dicomcast")
    assert auth.client_secret is not None
    assert auth.client_secret.get_secret_value() == "fhir-client-secret"
    assert auth.scope == "https://fhir.example.org/.default"
    assert consumer.fhir.ca_file == "/etc/dicomcast/hospital-ca.pem"


def test_oauth2_and_a_private_ca_at_the_dicom_server(tmp_path: Path) -> None:
    producer, consumer = both("dicom: oauth2", tmp_path)
    peers = {"producer": producer.feed.dicomweb, "consumer": consumer.sources["main"].peer()}
    assert [peer.url for peer in peers.values()] == [f"https://dicom.example.org/{v}" for v in ("v1", "v2")]
    for client, peer in peers.items():
        assert peer.ca_file == "/etc/dicomcast/hospital-ca.pem"
        assert (peer.auth.kind, peer.auth.client_id) == ("oauth2", f"dicomcast-{client}")
        assert peer.auth.client_secret is not None
        assert peer.auth.client_secret.get_secret_value() == "dicom-client-secret"


def test_a_client_certificate_at_a_peer(tmp_path: Path) -> None:
    _, consumer = both("peers: mutual", tmp_path)
    fhir = consumer.fhir
    assert (fhir.client_cert_file, fhir.client_key_file) == ("/etc/dicomcast/client.pem", "/run/secrets/client.key")
    assert fhir.client_key_password is not None
    assert fhir.client_key_password.get_secret_value() == "client-key-password"


def test_no_address_to_report_to_is_made_up() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private vulnerability reporting" in text
    assert re.findall(r"\S+@\S+|https?://\S+", text) == []
