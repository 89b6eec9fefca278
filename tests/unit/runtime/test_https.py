"""Peers over TLS: a private CA, client certificates, tokens; and what each mistake says."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dicomcast_consumer.errors import SystemicError
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_producer.change_feed import ChangeFeed
from dicomcast_producer.config import FeedSettings
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.http_client import PeerClient, peer_client
from dicomcast_runtime.peer_settings import AuthSettings, PeerSettings
from dicomcast_sandbox.dicom import Basic, Bearer
from pydantic import SecretStr

from tests.fakes.dicom_server import dicom_server
from tests.fakes.fhir_server import RunningFhirServer, fhir_server
from tests.fakes.serving import ServerTls
from tests.fakes.token_issuer import TokenIssuer
from tests.services.certificates import Certificates, KeyPair

SECRET = "s/+%&: é~hush"
AUDIENCE = "https://audience.example.org"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> KeyPair:
    return certificates.server()


@pytest.fixture
def https(server: KeyPair) -> Iterator[RunningFhirServer]:
    with fhir_server(tls=ServerTls(cert=server.cert, key=server.key)) as found:
        yield found


@pytest.fixture
def mutual(server: KeyPair, certificates: Certificates) -> Iterator[RunningFhirServer]:
    with fhir_server(tls=ServerTls(cert=server.cert, key=server.key, client_ca=certificates.ca_file)) as found:
        yield found


def capability(peer: PeerSettings) -> str:
    """The FHIR version that the server states."""

    async def ask(client: PeerClient) -> str:
        return str((await FhirClient(client).capability())["fhirVersion"])

    return speak(peer, ask)


def speak(peer: PeerSettings, ask: Callable[[PeerClient], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        async with peer_client(peer) as client:
            return await ask(client)

    return asyncio.run(scenario())


def test_a_private_ca(https: RunningFhirServer, certificates: Certificates) -> None:
    assert capability(PeerSettings(url=https.base_url, ca_file=str(certificates.ca_file))) == "4.0.1"


def test_a_ca_that_is_not_trusted_is_named_with_its_setting(https: RunningFhirServer, tmp_path: Path) -> None:
    for ca_file in (None, str(Certificates(tmp_path).ca_file)):
        with pytest.raises(SystemicError, match=r"not trusted.*DICOMCAST_FHIR__CA_FILE"):
            capability(PeerSettings(url=https.base_url, ca_file=ca_file))


def test_another_host_name_than_the_certificates(https: RunningFhirServer, certificates: Certificates) -> None:
    url = https.base_url.replace("127.0.0.1", "localhost")
    with pytest.raises(SystemicError, match="the host name"):
        capability(PeerSettings(url=url, ca_file=str(certificates.ca_file)))


def test_a_client_certificate(mutual: RunningFhirServer, certificates: Certificates) -> None:
    pair = certificates.client("dicomcast", key_password="hush")
    peer = PeerSettings(
        url=mutual.base_url,
        ca_file=str(certificates.ca_file),
        client_cert_file=str(pair.cert),
        client_key_file=str(pair.key),
        client_key_password=SecretStr("hush"),
    )
    assert capability(peer) == "4.0.1"
    for wrong in (None, SecretStr("wrong")):
        with pytest.raises(ConfigurationError, match="client_key_password"):
            capability(peer.model_copy(update={"client_key_password": wrong}))


@contextmanager
def only_with_a_certificate(server: KeyPair, certificates: Certificates) -> Iterator[str]:
    """A server that says so when a client has none: asyncio's only closes the connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.ca_file))
    context.load_cert_chain(server.cert, server.key)
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted, contextlib.suppress(ssl.SSLError):
                context.wrap_socket(accepted, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(20)


def test_no_client_certificate_where_one_is_asked_for(server: KeyPair, certificates: Certificates) -> None:
    refused = pytest.raises(SystemicError, match="DICOMCAST_FHIR__CLIENT_CERT_FILE")
    with only_with_a_certificate(server, certificates) as url, refused:
        capability(PeerSettings(url=url, ca_file=str(certificates.ca_file)))


def test_the_change_feed_says_the_same_of_its_own_settings(server: KeyPair, certificates: Certificates) -> None:
    def latest(**settings: Any) -> int:
        async def scenario() -> int:
            feed = ChangeFeed(FeedSettings(name="main", **settings), ProducerMetrics())
            try:
                return (await feed.latest()).sequence
            finally:
                await feed.close()

        return asyncio.run(scenario())

    with dicom_server(tls=ServerTls(cert=server.cert, key=server.key)) as dicom:
        assert latest(url=dicom.base_url, ca_file=str(certificates.ca_file)) == 0
        with pytest.raises(ConfigurationError, match="DICOMCAST_FEED__CA_FILE"):
            latest(url=dicom.base_url)


@pytest.mark.parametrize(
    ("access", "auth"),
    [
        (Basic("u", "p:ü"), AuthSettings(kind="basic", username="u", password=SecretStr("p:ü"))),
        (Bearer("t0ken"), AuthSettings(kind="bearer", token=SecretStr("t0ken"))),
    ],
    ids=["basic", "bearer"],
)
def test_credentials_over_tls(
    access: Basic | Bearer, auth: AuthSettings, server: KeyPair, certificates: Certificates
) -> None:
    with fhir_server(access=access, tls=ServerTls(cert=server.cert, key=server.key)) as fhir:
        peer = PeerSettings(url=fhir.base_url, ca_file=str(certificates.ca_file), auth=auth)
        assert capability(peer) == "4.0.1"
        with pytest.raises(SystemicError, match="401"):
            capability(peer.model_copy(update={"auth": AuthSettings()}))


class Issued:
    """Lets in who has a token of the issuer."""

    challenge = "Bearer"

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer
        self.used_up: set[str] = set()

    def allows(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        return token in self._issuer.tokens and token not in self.used_up


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer(issuer="https://login.example.org", audience=AUDIENCE, clients={"a client": SECRET})


def oauth2(url: str, **settings: Any) -> AuthSettings:
    values = {"client_id": "a client", "client_secret": SecretStr(SECRET), "scope": "system/*.cruds", **settings}
    return AuthSettings(kind="oauth2", token_url=url, audience=AUDIENCE, **values)


@pytest.mark.parametrize("client_auth", ["basic", "post"])
def test_tokens_with_scope_and_audience_that_are_not_the_url(
    client_auth: str, issuer: TokenIssuer, server: KeyPair, certificates: Certificates
) -> None:
    tls, access = ServerTls(cert=server.cert, key=server.key), Issued(issuer)
    with issuer.served(tls) as token_url, fhir_server(access=access, tls=tls) as fhir:
        auth = oauth2(token_url, client_auth=client_auth)

        async def ask(client: PeerClient) -> None:
            fhir_client = FhirClient(client)
            await fhir_client.capability()
            await fhir_client.capability()
            access.used_up.update(issuer.tokens)  # as when the provider revokes it before its time
            await fhir_client.capability()

        speak(PeerSettings(url=fhir.base_url, ca_file=str(certificates.ca_file), auth=auth), ask)
    asked = {"grant_type": "client_credentials", "scope": "system/*.cruds", "audience": AUDIENCE}
    assert issuer.forms == [asked, asked]


def test_a_secret_that_the_provider_does_not_know(issuer: TokenIssuer, fhir: RunningFhirServer) -> None:
    with issuer.served() as token_url:
        auth = oauth2(token_url, client_secret=SecretStr("wrong-hush"))
        with pytest.raises(SystemicError, match=r"/token answered 401.*DICOMCAST_FHIR__AUTH") as refused:
            capability(PeerSettings(url=fhir.base_url, auth=auth))
    assert "hush" not in str(refused.value)
    assert fhir.journal.entries == []
