"""Each way to sign in that docs/security.md shows, against a broker that asks for it; and what a wrong one says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.fakes.dicom_server import DicomServer
from tests.fakes.processes import Line, Running, eventually
from tests.fakes.serving import ServerTls
from tests.integration.instances import store_instances
from tests.integration.security.conftest import CLIENT_SECRET, Secured
from tests.integration.security.document import settings_example
from tests.integration.security.roles import Ended
from tests.services.certificates import Certificates
from tests.services.secure_kafka import exactly

USER = "dicomcast-producer"
KEY_PASSWORD = "key-hush"
WAYS = ("scram", "mutual", "oauth")


@pytest.fixture(scope="module")
def token_url(secured: Secured) -> Iterator[str]:
    pair = secured.kafka.certificates.server()
    with secured.issuer.served(ServerTls(cert=pair.cert, key=pair.key)) as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def allowed(secured: Secured) -> Iterator[None]:
    """The user may do everything with topics, here alone: this is about signing in."""
    admin = secured.kafka.admin()
    rules = [
        AclBinding(
            kind, "*", ResourcePatternType.LITERAL, f"User:{USER}", "*", AclOperation.ALL, AclPermissionType.ALLOW
        )
        for kind in (ResourceType.TOPIC, ResourceType.TRANSACTIONAL_ID)
    ]
    for future in admin.create_acls(rules).values():
        future.result(30)
    secured.kafka.add_user(USER)
    secured.kafka.add_user(USER, "SCRAM-SHA-256")
    yield
    theirs = [exactly(rule) for rule in rules]
    for gone in admin.delete_acls(theirs).values():
        gone.result(30)
    eventually(lambda: not any(admin.describe_acls(one).result(30) for one in theirs))


def example(way: str, secured: Secured, token_url: str, folder: Path) -> dict[str, str]:
    """The document's settings with this broker's addresses and files; a name that is not replaced fails."""
    kafka, certificates = secured.kafka, secured.kafka.certificates
    client = certificates.client(USER, key_password=KEY_PASSWORD)
    secrets = {
        "/run/secrets/kafka-password": kafka.passwords[USER],
        "/run/secrets/client-key-password": KEY_PASSWORD,
        "/run/secrets/kafka-client-secret": CLIENT_SECRET,
    }
    values = {
        "kafka:9093": kafka.scram,
        "kafka:9094": kafka.mutual,
        "kafka:9095": kafka.oauth,
        "/etc/dicomcast/kafka-ca.pem": str(certificates.ca_file),
        "/etc/dicomcast/login-ca.pem": str(certificates.ca_file),
        "/etc/dicomcast/client.pem": str(client.cert),
        "/run/secrets/client.key": str(client.key),
        "https://login.example.org/token": token_url,
    }
    for name, secret in secrets.items():
        path = folder / Path(name).name
        path.write_text(f"{secret}\n")
        values[name] = str(path)
    return {name: values.get(value, value) for name, value in settings_example(f"kafka: {way}").items()}


def line_of(dicom: DicomServer, secured: Secured) -> Line:
    env = {
        "DICOMCAST_FEED__NAME": "main",
        "DICOMCAST_FEED__URL": dicom.base_url,
        "DICOMCAST_FEED__GAP_SETTLE_S": "0",
        "DICOMCAST_LOG__LEVEL": "debug",
    }
    return Line(bootstrap=secured.kafka.inner, env=env)


def ended(running: Running) -> Ended:
    eventually(lambda: running.process.poll() is not None, lambda: running.text)
    return Ended(running.process.wait(10), running.text)


@pytest.mark.parametrize("way", [*WAYS, "scram with SHA-256"])
def test_events_are_published(way: str, secured: Secured, token_url: str, dicom: DicomServer, tmp_path: Path) -> None:
    env = example(way.split()[0], secured, token_url, tmp_path)
    if way.endswith("256"):
        env["DICOMCAST_KAFKA__SASL_MECHANISM"] = "SCRAM-SHA-256"
    line = line_of(dicom, secured)
    store_instances(dicom.base_url, study="1.2.3", count=2)
    with line.started("dicomcast_producer", "topics", "apply", env=env) as apply:
        assert ended(apply).code == 0, apply.text
    with line.producer("--exit-when-idle", env=env) as producer:
        published = ended(producer)
    assert published.code == 0, published
    assert line.cursor() == 2
    assert "hush" not in published.text


WRONG = {
    "scram: the password": ("scram", "SASL_PASSWORD_FILE", "_AUTHENTICATION"),
    "oauth: the client secret": ("oauth", "SASL_OAUTHBEARER_CLIENT_SECRET_FILE", "token"),
}


@pytest.mark.parametrize("command", [("run",), ("topics", "plan")], ids=" ".join)
@pytest.mark.parametrize(("way", "setting", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_secret_ends_with_one_error(
    command: tuple[str, ...],
    way: str,
    setting: str,
    said: str,
    secured: Secured,
    token_url: str,
    dicom: DicomServer,
    tmp_path: Path,
) -> None:
    env = example(way, secured, token_url, tmp_path)
    Path(env[f"DICOMCAST_KAFKA__{setting}"]).write_text("wrong-hush")
    with line_of(dicom, secured).started("dicomcast_producer", *command, env=env) as running:
        found = ended(running)
    assert found.code == 64, found
    assert said in found.text
    assert "DICOMCAST_KAFKA__" in found.text
    assert "hush" not in found.text


@pytest.mark.parametrize("package", ["dicomcast_producer", "dicomcast_consumer"])
def test_a_broker_of_another_ca_is_not_trusted(
    package: str, secured: Secured, token_url: str, dicom: DicomServer, tmp_path: Path
) -> None:
    env = example("scram", secured, token_url, tmp_path)
    env["DICOMCAST_KAFKA__SSL_CA_LOCATION"] = str(Certificates(tmp_path).ca_file)
    line = line_of(dicom, secured)
    line.env |= {
        "DICOMCAST_FHIR__URL": "http://127.0.0.1:9/fhir",
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
    }
    with line.started(package, "run", env=env) as running:
        found = ended(running)
    assert found.code == 64, found
    assert "ssl.ca.location" in found.text


def test_a_client_without_a_certificate_is_not_let_in(
    secured: Secured, token_url: str, dicom: DicomServer, tmp_path: Path
) -> None:
    env = example("mutual", secured, token_url, tmp_path)
    kept = {name: value for name, value in env.items() if "CERTIFICATE" not in name and "SSL_KEY" not in name}
    with line_of(dicom, secured).started("dicomcast_producer", "run", env=kept) as running:
        found = ended(running)
    assert found.code == 64, found
    assert "ssl.certificate.location" in found.text
