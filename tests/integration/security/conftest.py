"""One Kafka that denies by default, with the users of docs/security.md, for all tests here."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fakes.token_issuer import TokenIssuer
from tests.services.fixtures import installed
from tests.services.secure_kafka import AUDIENCE, ISSUER, SecureKafka

CLIENT_SECRET = "client-secret-hush"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """The broker and the issuer of its tokens."""

    kafka: SecureKafka
    issuer: TokenIssuer


@pytest.fixture(scope="session")
def secured() -> Iterator[Secured]:
    issuer = TokenIssuer(issuer=ISSUER, audience=AUDIENCE, clients={"dicomcast-producer": CLIENT_SECRET})
    with installed(), SecureKafka.started(issuer.keys) as kafka:
        yield Secured(kafka=kafka, issuer=issuer)
