"""A Kafka that denies by default: an authorizer, and a listener for each way to sign in, all with TLS.

scram    SASL_SSL, SCRAM-SHA-256 and -512
mutual   SSL, the client's certificate is asked for
oauth    SASL_SSL, OAUTHBEARER: tokens of one issuer, checked by its keys (JWKS)
inner    PLAINTEXT, the super user: for the test to look and to set up, as an operator at the cluster itself
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.services.certificates import Certificates
from tests.services.peers import KafkaBroker
from tests.services.server import free_ports, run_dir

__all__ = ["AUDIENCE", "ISSUER", "SecureKafka", "exactly"]

ISSUER = "https://login.example.org"
AUDIENCE = "kafka"
_LISTENERS = ("PLAINTEXT", "SCRAM", "MUTUAL", "OAUTH")
_OAUTHBEARER = "org.apache.kafka.common.security.oauthbearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureKafka:
    """The broker, where its listeners are, and how to sign in."""

    inner: str
    scram: str
    mutual: str
    oauth: str
    certificates: Certificates
    passwords: dict[str, str] = field(default_factory=dict)

    @staticmethod
    @contextmanager
    def started(keys: Mapping[str, object]) -> Iterator["SecureKafka"]:
        """Nobody but the super user is allowed anything until an ACL says so. `keys`: the token issuer's JWKS."""
        controller, *ports = free_ports(len(_LISTENERS) + 1)
        places = dict(zip(_LISTENERS, (f"127.0.0.1:{port}" for port in ports), strict=True))
        with run_dir("secure-kafka") as folder:
            certificates, jwks = Certificates(folder), folder / "jwks.json"
            jwks.write_text(json.dumps(keys))
            config = _config(places, controller, certificates, jwks)
            options = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{jwks}"
            with KafkaBroker.started(config, ports=(ports[0], controller), options=options):
                yield SecureKafka(
                    inner=places["PLAINTEXT"],
                    scram=places["SCRAM"],
                    mutual=places["MUTUAL"],
                    oauth=places["OAUTH"],
                    certificates=certificates,
                )

    def admin(self) -> AdminClient:
        """The super user's."""
        return AdminClient({"log_level": 0, "bootstrap.servers": self.inner})

    def add_user(self, name: str, mechanism: str = "SCRAM-SHA-512") -> None:
        """A user of the scram listener; its password is kept in `passwords`."""
        password = self.passwords.setdefault(name, f"{name}-hush")
        kind = ScramMechanism.SCRAM_SHA_256 if mechanism.endswith("256") else ScramMechanism.SCRAM_SHA_512
        change = UserScramCredentialUpsertion(name, ScramCredentialInfo(kind, 4096), password.encode())
        admin = self.admin()  # held: its requests end with it
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(30)

    def scram_env(self, user: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """What a person sets to sign in as the user."""
        return {
            "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": self.scram,
            "DICOMCAST_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "DICOMCAST_KAFKA__SASL_MECHANISM": mechanism,
            "DICOMCAST_KAFKA__SASL_USERNAME": user,
            "DICOMCAST_KAFKA__SASL_PASSWORD": self.passwords[user],
            "DICOMCAST_KAFKA__SSL_CA_LOCATION": str(self.certificates.ca_file),
        }


def _config(places: Mapping[str, str], controller: int, certificates: Certificates, jwks: Path) -> dict[str, str]:
    server = certificates.server()
    stores = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca_file),
    }
    oauth = "listener.name.oauth.oauthbearer"
    return {
        "listeners": ",".join([*(f"{n}://{at}" for n, at in places.items()), f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join(f"{name}://{place}" for name, place in places.items()),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL,"
        "OAUTH:SASL_SSL",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",
        **stores,
        "listener.name.mutual.ssl.client.auth": "required",
        # The user of a certificate is its common name.
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        **{
            f"listener.name.scram.scram-sha-{bits}.sasl.jaas.config": "org.apache.kafka.common.security.scram."
            "ScramLoginModule required;"
            for bits in (256, 512)
        },
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{oauth}.sasl.jaas.config": f"{_OAUTHBEARER}.OAuthBearerLoginModule required;",
        f"{oauth}.sasl.server.callback.handler.class": f"{_OAUTHBEARER}.OAuthBearerValidatorCallbackHandler",
        f"{oauth}.sasl.oauthbearer.jwks.endpoint.url": f"file://{jwks}",
        f"{oauth}.sasl.oauthbearer.expected.issuer": ISSUER,
        f"{oauth}.sasl.oauthbearer.expected.audience": AUDIENCE,
    }


def exactly(rule: AclBinding) -> AclBindingFilter:
    """The filter that finds this ACL and no other."""
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )
