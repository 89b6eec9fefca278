"""Brokers that refuse a client: because they do not know it, or because its user lacks a right. Which one is said."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError

from .errors import ConfigurationError

__all__ = ["UNKNOWN_CLIENT", "not_allowed", "property_error", "refusal"]

UNKNOWN_CLIENT: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})
"""Codes of a client that is not let in: credentials or certificates are wrong, or the broker's are not trusted."""


def refusal(
    doing: str,
    errors: Iterable[KafkaError],
    *,
    topic: str = "",
    group: str = "",
    transactional_id: str = "",
) -> ConfigurationError | None:
    """The error to end with when one of `errors` is a refusal, else None. The first one that is decides.

    The keywords say which right `doing` takes on each kind of resource, such as topic="Read on topic dicom.changes.v1".
    """
    rights = {
        KafkaError.TOPIC_AUTHORIZATION_FAILED: topic,
        KafkaError.GROUP_AUTHORIZATION_FAILED: group,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: transactional_id,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: topic,
    }
    for error in errors:
        if error.code() in rights:
            return not_allowed(f"{doing}: Kafka does not allow it ({error.name()})", rights[error.code()])
        if error.code() in UNKNOWN_CLIENT or _is_alert(error):
            check = "user, password, mechanism" if error.code() in _SASL else _TLS
            return ConfigurationError(
                f"{doing}: Kafka refuses this client ({error.name()}: {error.str()}): check DICOMCAST_KAFKA__*: {check}"
            )
    return None


def not_allowed(what: str, needed: str) -> ConfigurationError:
    """The error to end with when the user lacks a right; `needed` names it, such as Read on topic dicom.changes.v1."""
    return ConfigurationError(
        f"{what}: the user of DICOMCAST_KAFKA__* needs {needed or 'more rights'}; "
        "docs/security.md has the ACLs of each role"
    )


def property_error(error: KafkaError) -> ConfigurationError:
    """The error to end with when librdkafka refuses a property; its text names the property."""
    return ConfigurationError(f"DICOMCAST_KAFKA__*: {error.str()}")


def _is_alert(error: KafkaError) -> bool:
    """Whether the broker ended the handshake, as for a client without a certificate: librdkafka has no code for it."""
    return error.code() == KafkaError._TRANSPORT and "tls alert" in error.str().lower()


_SASL: Final = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)
_TLS: Final = "ssl.ca.location, ssl.certificate.location, ssl.key.location, and the host name"
